"""A deployed function as the tests see it: invoke it, and read what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from functions.shared import names
from ops import ROOT

STOP_SECONDS = 10


class FunctionError(Exception):
    """The handler raised; `kind` is the exception's class name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Function:
    """One execution environment of a Lambda function."""

    def __init__(self, process: subprocess.Popen[str], answers: Any, log: Path) -> None:
        self._process = process
        self._answers = answers
        self._log = log
        self._read = 0

    def send(self, event: Any, *, remaining_seconds: float = 30.0, settles: bool = False) -> None:
        """Begin an invocation without waiting for its end; `settles` as `dlq redrive --settle` does."""
        assert self._process.stdin is not None
        custom = {names.SETTLE: True} if settles else None
        request = {"event": event, "remaining_seconds": remaining_seconds, "custom": custom}
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def result(self) -> Any:
        """Wait for the end of the invocation; return what it returned or raise what it raised."""
        line = self._answers.readline()
        assert line, f"the function ended: {self._log.read_text()}"
        answer = json.loads(line)
        if "error" in answer:
            raise FunctionError(answer["error"], answer["message"])
        return answer["returned"]

    def invoke(self, event: Any, *, remaining_seconds: float = 30.0, settles: bool = False) -> Any:
        """Invoke the function with an event."""
        self.send(event, remaining_seconds=remaining_seconds, settles=settles)
        return self.result()

    def kill(self) -> None:
        """End the environment as Lambda does after a time-out."""
        self._process.kill()
        self._process.wait()

    def output(self) -> str:
        """Everything written to standard output and standard error so far."""
        return self._log.read_text()

    def new_lines(self) -> list[dict[str, Any]]:
        """The JSON lines written since the last call: log lines and metrics."""
        text = self.output()
        new, self._read = text[self._read :], len(text)
        return [json.loads(line) for line in new.splitlines() if line.startswith("{")]

    def new_logs(self, message: str) -> list[dict[str, Any]]:
        """The log lines with a message written since the last call."""
        return [line for line in self.new_lines() if line.get("message") == message]


@contextmanager
def running_function(handler: str, environment: Mapping[str, str], log: Path) -> Iterator[Function]:
    """Start an execution environment of `functions.{handler}` with the environment variables given."""
    answers, answers_of_function = os.pipe()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.functions.runtime",
                f"functions.{handler}",
                str(answers_of_function),
            ],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            cwd=ROOT,
            env=dict(environment),
            pass_fds=[answers_of_function],
        )
    os.close(answers_of_function)
    with os.fdopen(answers) as reader, process:
        try:
            yield Function(process, reader, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def metrics(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Index embedded-metric-format lines: for each metric name its value, unit, namespace and dimensions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            (dimension_names,) = directive["Dimensions"]
            for definition in directive["Metrics"]:
                found.setdefault(definition["Name"], []).append(
                    {
                        "value": line[definition["Name"]],
                        "unit": definition["Unit"],
                        "namespace": directive["Namespace"],
                        "dimensions": {name: line[name] for name in dimension_names},
                    }
                )
    return found
