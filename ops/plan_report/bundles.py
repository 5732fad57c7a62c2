"""What differs in the code that the functions run: packages and modules, by the stack's output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra import contents
from ops.plan_report.attributes import ABSENT, Word
from ops.plan_report.changes import ChangeKind
from ops.plan_report.plan import Output, Plan, at
from ops.plan_report.rules.data import FUNCTION
from ops.plan_report.text import code, listed

NONE: Final = Output(ABSENT, ABSENT)
OURS: Final = "functions"
NOT_LISTED: Final = (
    "The deployed stack does not list what it runs yet: from the next apply on, a plan names what differs."
)
SAME: Final = (
    "No package and no module of ours differs: the bundle was built in another way, or for another runtime."
)
REMOVED, ADDED = "removed", "added"


@dataclass(frozen=True)
class Part:
    """A package or module that differs."""

    name: str
    before: Any
    after: Any

    @property
    def is_ours(self) -> bool:
        """Whether it is a module of this project."""
        return self.name == OURS or self.name.startswith(f"{OURS}.")

    @property
    def described(self) -> str:
        """The part as Markdown: of a package both versions, of our module that it differs."""
        if self.after is ABSENT:
            return f"{code(self.name)} {REMOVED}"
        if self.before is ABSENT:
            return f"{code(self.name)} {ADDED}"
        return (
            code(self.name) if self.is_ours else f"{code(self.name)} {code(self.before)} → {code(self.after)}"
        )


def functions(plan: Plan) -> list[str]:
    """Return the names of the functions that run other code."""
    found = plan.changing(FUNCTION)
    updated = (
        each for each in found if each.change is ChangeKind.UPDATE and each.differs("source_code_hash")
    )
    return sorted(str(each.will_be("function_name")) for each in updated)


def differing(plan: Plan) -> list[Part] | None:
    """Return the parts that differ; None if the deployed stack has no list of them."""
    output = plan.outputs.get(contents.CODE, NONE)
    if isinstance(output.before, Word) or isinstance(output.after, Word):
        return None
    names = sorted({*output.before, *output.after})
    parts = (Part(name, at(output.before, name), at(output.after, name)) for name in names)
    return [part for part in parts if part.before != part.after]


def section(plan: Plan, shown: int) -> Iterator[str]:
    """Yield the Markdown list of what differs; nothing if no function runs other code."""
    names = functions(plan)
    if not names:
        return
    yield f"- Other code in {listed(names)}"
    parts = differing(plan)
    if not parts:
        yield f"- {NOT_LISTED if parts is None else SAME}"
        return
    ours = [part for part in parts if part.is_ours]
    yield from _line("module", ours, shown)
    yield from _line("package", [part for part in parts if not part.is_ours], shown)


def _line(word: str, parts: Sequence[Part], shown: int) -> Iterator[str]:
    if parts:
        more = f" and {len(parts) - shown} more" if len(parts) > shown else ""
        listing = ", ".join(part.described for part in parts[:shown])
        yield f"- {len(parts)} {word}{'' if len(parts) == 1 else 's'}: {listing}{more}"
