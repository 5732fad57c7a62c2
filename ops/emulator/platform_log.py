"""What Lambda writes to CloudWatch Logs for one invocation: its own lines, and those of the function.

Sources: Lambda developer guide, "Log and filter levels" (system and application log level), "Lambda Telemetry
API Event schema reference" (the JSON records), "Understanding the Lambda execution environment lifecycle"
(INIT_REPORT), and "View CloudWatch logs" (START, END, REPORT).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

JSON_FORMAT: Final = "JSON"
LEVELS: Final = {
    "TRACE": 0,
    "DEBUG": 1,
    "INFO": 2,
    "WARN": 3,
    "WARNING": 3,
    "ERROR": 4,
    "FATAL": 5,
    "CRITICAL": 5,
}
INFO: Final = LEVELS["INFO"]
ALWAYS: Final = LEVELS["FATAL"]
# Within one log event; a line feed begins the next.
CONTINUATION: Final = "\r"
SUCCESS, TIMEOUT, ERROR, FAILURE = "success", "timeout", "error", "failure"


@dataclass(frozen=True)
class Usage:
    """What an invocation took; `init_seconds` is None if the environment was warm."""

    seconds: float
    init_seconds: float | None
    memory_mb: int
    peak_mb: int


@dataclass
class InvocationLog:
    """The log of one invocation, one line for each log event.

    Parameters
    ----------
    logging
        The function's LoggingConfig.
    """

    logging: Mapping[str, str]
    request_id: str
    version: str
    lines: list[str] = field(default_factory=list)
    is_started: bool = False

    def init_start(self, runtime: str) -> None:
        """Say that a new environment starts."""
        version = runtime.replace("python", "python:")
        record = {"initializationType": "on-demand", "phase": "init", "runtimeVersion": version}
        self._platform("initStart", record, f"INIT_START Runtime Version: {version}")

    def init_failed(self, seconds: float, status: str, error_type: str | None) -> None:
        """Say that the Init phase failed, after which Lambda repeats it within the invocation."""
        record: dict[str, Any] = {"initializationType": "on-demand", "phase": "init", "status": status}
        record["metrics"] = {"durationMs": _milliseconds(seconds)}
        text = f"INIT_REPORT Init Duration: {_milliseconds(seconds):.2f} ms\tPhase: init\tStatus: {status}"
        if error_type and status != TIMEOUT:
            record["errorType"] = error_type
            text += f"\tError Type: {error_type}"
        self._platform("initReport", record, text, ALWAYS)

    def start(self) -> None:
        """Say that the invocation begins."""
        self.is_started = True
        record = {"requestId": self.request_id, "version": self.version}
        self._platform("start", record, f"START RequestId: {self.request_id} Version: {self.version}")

    def output(self, text: str) -> None:
        """Add what the function wrote; in JSON, lines below its log level are dropped."""
        lowest = LEVELS.get(self.logging.get("ApplicationLogLevel", ""), INFO)
        for line in text.split("\n"):
            if line and not (self._is_json and _level(line) < lowest):
                self.lines.append(line)

    def failed(self, message: str) -> None:
        """Add Lambda's own line about an invocation that it ended. In JSON the report says it."""
        if not self._is_json:
            self.lines.append(message)

    def end(self, usage: Usage, status: str, error_type: str | None) -> None:
        """Report the invocation."""
        init = usage.init_seconds
        metrics: dict[str, Any] = {
            "durationMs": _milliseconds(usage.seconds),
            "billedDurationMs": math.ceil((usage.seconds + (init or 0)) * 1000),
            "memorySizeMB": usage.memory_mb,
            "maxMemoryUsedMB": usage.peak_mb,
        }
        text = (
            f"REPORT RequestId: {self.request_id}\tDuration: {metrics['durationMs']:.2f} ms\t"
            f"Billed Duration: {metrics['billedDurationMs']} ms\tMemory Size: {usage.memory_mb} MB\t"
            f"Max Memory Used: {usage.peak_mb} MB"
        )
        if init is not None:
            metrics["initDurationMs"] = _milliseconds(init)
            text += f"\tInit Duration: {metrics['initDurationMs']:.2f} ms"
        record: dict[str, Any] = {"requestId": self.request_id, "metrics": metrics, "status": status}
        if error_type:
            record["errorType"] = error_type
        if status in (TIMEOUT, FAILURE):
            text += (
                f"\tStatus: {TIMEOUT}" if status == TIMEOUT else f"\tStatus: error\tError Type: {error_type}"
            )
        if not self._is_json:
            self.lines.append(f"END RequestId: {self.request_id}")
        self._platform("report", record, text, INFO if status == SUCCESS else ALWAYS)

    @property
    def _is_json(self) -> bool:
        return self.logging.get("LogFormat") == JSON_FORMAT

    def _platform(self, kind: str, record: Mapping[str, Any], text: str, level: int = INFO) -> None:
        if not self._is_json:
            self.lines.append(text)
        elif level >= LEVELS.get(self.logging.get("SystemLogLevel", ""), INFO):
            line = {"time": now(), "type": f"platform.{kind}", "record": record}
            self.lines.append(json.dumps(line))


def now() -> str:
    """Return the time as Lambda writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _level(line: str) -> int:
    """Return the level of a line; one that names none counts as INFO."""
    if not line.startswith("{"):
        return INFO
    try:
        record = json.loads(line)
    except ValueError:
        return INFO
    return LEVELS.get(str(record.get("level", "")).upper(), INFO)
