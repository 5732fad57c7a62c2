"""Put the output of a local run into the README: `make local > FILE`, then `python -m ops.dev.sample < FILE`.

The README shows the lines that say most. An ellipsis stands between the steps, the table and the end.
"""

from __future__ import annotations

import sys
from typing import Final

from ops import ROOT
from ops.console import print_error
from ops.dev.docs import with_part

PAGES: Final = ("README.md", "README.fr.md")
PART: Final = "make local output"
# How the lines begin that are shown.
STEPS: Final = (
    "start the servers ",
    "plan dev ",
    "apply dev ",
    "second plan ",
    "account for every delivery ",
)
TABLE: Final = (
    "event type ",
    "customer.subscription.updated ",
    "invoice.paid ",
    "payment_intent.succeeded ",
    "all ",
)
END: Final = ("1 parked event:", "  refused/", "    ", "passed: ")


def sample(output: str) -> str:
    """Return the block for the README.

    Raises
    ------
    ValueError
        The run did not pass, or its lines are wrapped.
    """
    first, *lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    parts = [[line for line in lines if line.startswith(begins)] for begins in (STEPS, TABLE, END)]
    if not (parts[-1] and parts[-1][-1].startswith("passed: ")):
        raise ValueError("the run did not pass: no line begins with 'passed: '")
    if lines[-1] != parts[-1][-1]:
        raise ValueError("the lines are wrapped: run it again without COLUMNS, its output to a file")
    shown = "\n…\n".join("\n".join(part) for part in parts)
    return f"```console\n$ make local\n{first}\n{shown}\n```"


def main() -> int:
    """Rewrite the pages from standard input; return the exit code."""
    try:
        block = sample(sys.stdin.read())
    except ValueError as error:
        print_error(f"error: {error}")
        return 1
    for name in PAGES:
        page = ROOT / name
        page.write_text(with_part(page.read_text(encoding="utf-8"), PART, block), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
