"""`make policy`: checkov over the plan of every variant, the licences, and the known vulnerabilities.

`tests.policies.validate`, which `make policy` runs too, looks at the IAM policies.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.console import plural, print_error
from ops.dev.install import TOOLS, SetupError, install_tool
from ops.dev.policy import audit, licences, plans, scan

PACKAGES: Final = "lib/python3*/site-packages"
NOTE: Final = "policy, not a fault"


def main() -> int:
    """Run every check, print a line for each fault, and return the exit code."""
    try:
        checkov, pip_audit = install_tool("policy") / "checkov", install_tool("audit") / "pip-audit"
    except SetupError as error:
        print_error(f"policy: {error}")
        return 1
    # The audit waits for answers, the scan for the processor.
    with ThreadPoolExecutor(1) as waiting:
        audited = waiting.submit(_audited, pip_audit)
        faults = [*_scanned(checkov), *_licensed(), *audited.result()]
    for fault in faults:
        print_error(f"policy: {fault}")
    return 1 if faults else 0


def _scanned(checkov: Path) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="huntaze-policy-") as name:
        return scan.faults(checkov, plans.planned(Path(name)), Path(name, "scan"))


def _licensed() -> Iterator[str]:
    folders = [
        *Path(ROOT, ".venv").glob(PACKAGES),
        *(each for one in TOOLS.iterdir() for each in one.glob(PACKAGES)),
    ]
    missing = licences.not_installed(folders)
    if missing:
        print_error(f"{NOTE}: not installed here, so their licences were not read: {', '.join(missing)}")
    yield from licences.faults(folders)


def _audited(program: Path) -> list[str]:
    try:
        found = audit.audit(program)
    except audit.NotAskedError as error:
        print_error(f"{NOTE}: known vulnerabilities were not looked up ({error})")
        return []
    except audit.AuditFailedError as error:
        return [f"known vulnerabilities were not looked up: pip-audit failed, {error}"]
    if found.unknown:
        number = plural(len(found.unknown), "package")
        print_error(f"{NOTE}: pypi.org, as it is reached from here, does not know {number}: not looked up")
    return found.faults


if __name__ == "__main__":
    sys.exit(main())
