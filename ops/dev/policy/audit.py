"""Known vulnerabilities of the locked packages, by pip-audit, where pypi.org can be reached."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops import ROOT

# By the advisory's id, and why it does no harm here.
HARMLESS: Final[Mapping[str, str]] = {}
# For one answer of pypi.org, and for all of them together.
ANSWER_SECONDS: Final = 5
ALL_SECONDS: Final = 120
# How pip-audit ends if pypi.org can't be reached, or does not answer in time: in its own words, or with
# an error of requests that it does not handle (pip-audit, `_service/pypi.py`).
UNREACHED: Final = re.compile(
    r"^requests\.exceptions\.(ConnectionError|ProxyError|Timeout|ConnectTimeout|ReadTimeout): "
    r"|Could not connect to PyPI's vulnerability feed",
    re.MULTILINE,
)


class NotAskedError(Exception):
    """The data could not be reached; the message says why."""


class AuditFailedError(Exception):
    """pip-audit ended in another way than with answers; the message says how."""


@dataclass(frozen=True)
class Audit:
    """The known vulnerabilities, one sentence each, and the packages of which pypi.org said nothing."""

    faults: list[str]
    unknown: list[str]


def audit(program: Path, lock: Path = ROOT / "Pipfile.lock") -> Audit:
    """Look up the known vulnerabilities of the locked packages.

    Raises
    ------
    NotAskedError
        pypi.org does not answer from here.
    AuditFailedError
        pip-audit can't be run, or printed no answers.
    """
    with tempfile.TemporaryDirectory(prefix="huntaze-audit-") as folder:
        requirements = [_requirements(Path(folder), *each) for each in _sections(lock)]
        answers = [each for file in requirements for each in _answers(program, file)]
    found = {each for answer in answers for each in _vulnerabilities(answer)}
    faults = [
        f"{name} {version} has {advisory}: {fix}, or write into ops/dev/policy/audit.py why it does no harm"
        for name, version, advisory, fix in sorted(found)
        if advisory not in HARMLESS
    ]
    return Audit(faults, sorted({each["name"] for each in answers if "skip_reason" in each}))


def _sections(lock: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each category of the lock: two may lock different versions of one package."""
    document = json.loads(lock.read_text(encoding="utf-8"))
    yield from ((name, packages) for name, packages in document.items() if name != "_meta")


def _requirements(folder: Path, category: str, packages: Mapping[str, Any]) -> Path:
    file = folder / f"{category}.txt"
    file.write_text("".join(f"{name}{each['version']}\n" for name, each in sorted(packages.items())))
    return file


def _answers(program: Path, requirements: Path) -> list[dict[str, Any]]:
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [program, "--requirement", requirements, *options, "--timeout", str(ANSWER_SECONDS)],
            capture_output=True,
            text=True,
            check=False,
            timeout=ALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NotAskedError(f"pypi.org took more than {ALL_SECONDS} s") from None
    except OSError as error:
        raise AuditFailedError(f"can't run {program}: {error.strerror}") from error
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1][:200]
        if unreached := UNREACHED.search(done.stderr):
            line = done.stderr[unreached.start() :].partition("\n")[0]
            raise NotAskedError(line[:200]) from None
        raise AuditFailedError(f"exit code {done.returncode}: {said}") from None
    return answers


def _vulnerabilities(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for each in answer.get("vulns", []):
        fixed = ", ".join(each["fix_versions"])
        yield answer["name"], answer["version"], each["id"], f"use {fixed}" if fixed else "no fix yet"
