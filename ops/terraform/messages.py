"""Read Terraform's machine-readable UI (`-json`): its progress, and each error as one line.

Source: Terraform, "Machine-Readable UI".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

# Done, total, the address of the resource.
Progress = Callable[[int, int, str], None]
NO_ACTION: Final = "noop"
FINISHED: Final = ("apply_complete", "apply_errored")
# A provider's diagnostic may hold a whole API response.
MOST_CHARACTERS: Final = 400
# One of these for each resource that a plan would destroy although its prevent_destroy is on.
KEPT: Final = re.compile(r"Resource (\S+) has lifecycle\.prevent_destroy set")
# Id, operation, owner and time of the lock, behind what the store of the state said.
HELD: Final = re.compile(
    r"Lock Info:\s+ID:\s+(\S+)\s.*Operation:\s+OperationType(\S+)\s+Who:\s+(\S+)\s.*Created:\s+(\S+ [\d:]+)",
    re.DOTALL,
)
# A resource that only moves to another address, or that the state forgets.
BESIDES: Final = ("move", "remove")


@dataclass(frozen=True)
class PlanSummary:
    """How many resources a plan adds, changes and destroys; a replacement counts as both.

    Parameters
    ----------
    other
        How many resources only move to another address or leave the state, and how many outputs change.
    """

    add: int = 0
    change: int = 0
    destroy: int = 0
    other: int = 0

    @property
    def resources(self) -> int:
        """How many steps an apply takes."""
        return self.add + self.change + self.destroy

    @property
    def changes(self) -> int:
        """All of them together; 0 for a clean plan."""
        return self.resources + self.other


@dataclass
class Reader:
    """Read the messages of one command, line by line.

    Parameters
    ----------
    total
        How many resources the command will change, if the caller knows.
    kept
        Addresses of resources that `prevent_destroy` protects from the plan.
    """

    progress: Progress | None = None
    total: int = 0
    summary: PlanSummary = field(default_factory=PlanSummary)
    errors: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    _done: int = 0

    def read(self, line: str) -> None:
        """Read one line of output; a line that is not a JSON message is ignored."""
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        kind = message.get("type")
        if kind == "diagnostic" and message["diagnostic"]["severity"] == "error":
            diagnostic = message["diagnostic"]
            if kept := KEPT.search(diagnostic.get("detail") or ""):
                self.kept.append(kept[1])
            else:
                self.errors.append(_one_line(diagnostic))
        elif kind == "change_summary":
            counts = message["changes"]
            self.summary = replace(
                self.summary, add=counts["add"], change=counts["change"], destroy=counts["remove"]
            )
            self.total = self.total or self.summary.resources
        elif kind == "outputs":
            actions = [output.get("action", NO_ACTION) for output in message["outputs"].values()]
            self._count_other(len(actions) - actions.count(NO_ACTION))
        elif kind in FINISHED:
            self._done += 1
            self._report(message["hook"])
        elif kind in ("refresh_complete", "planned_change"):
            self._count_other(int(message.get("change", {}).get("action") in BESIDES))
            self._report(message.get("hook") or message["change"])

    def _count_other(self, number: int) -> None:
        self.summary = replace(self.summary, other=self.summary.other + number)

    def _report(self, about: dict[str, Any]) -> None:
        if self.progress is not None:
            self.progress(self._done, self.total, about["resource"]["addr"])


def _one_line(diagnostic: dict[str, Any]) -> str:
    if held := HELD.search(diagnostic.get("detail") or ""):
        return f"{diagnostic['summary']}: {held[2]} by {held[3]} since {held[4]} UTC holds it as {held[1]}"
    address = diagnostic.get("address")
    parts = (address, diagnostic["summary"], diagnostic.get("detail"))
    line = ": ".join(" ".join(str(part).split()) for part in parts if part)
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS].rstrip()} …"
