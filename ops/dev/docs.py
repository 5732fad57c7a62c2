"""Write what the documentation takes from the code: `make docs`. A test compares the files with it.

A generated part of a page stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from functions.pipeline.route import Call, Route
from functions.pipeline.routing_table import ROUTES
from ops import ROOT
from ops.api import openapi
from ops.console import print_line
from ops.dev import costs_page, limits_table, plan_rules, roles_page, settings_page

EVENTS: Final = "docs/events.md"
ROLES: Final = "docs/deployment-roles.md"
SETTINGS: Final = "docs/settings.md"
COSTS: Final = "docs/costs.md"
LIMITS: Final = "docs/limits.md"
PLAN_REPORT: Final = "docs/plan-report.md"


def event_table() -> str:
    """Return the routing table in Markdown, a row for each event type and mode."""
    rows = [
        ("Stripe event", "Function", "A repeat", "Huntaze API"),
        ("---", "---", "---", "---"),
        *_rows(ROUTES.values()),
        ("every other type", "audit only", "", "none"),
    ]
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def _rows(routes: Iterable[Route]) -> Iterator[tuple[str, str, str, str]]:
    for route in routes:
        for mode, call in route.variants.items():
            event = f"`{route.event_type}`" + (f", mode `{mode}`" if mode else "")
            yield event, route.handler, route.repeat, _call(call)


def _call(call: Call | None) -> str:
    return f"`POST {call.path}`" if call else "none: recorded and audited"


def with_part(page: str, name: str, content: str) -> str:
    """Return a page with the content of its part replaced.

    Raises
    ------
    ValueError
        The page has no such part.
    """
    part = re.compile(f"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    if not part.search(page):
        raise ValueError(f"no part <!-- {name}: begin --> to fill")
    return part.sub(lambda found: f"{found[1]}{content}\n{found[2]}", page)


def _events_page(page: str) -> str:
    return with_part(page, "event types", event_table())


def _costs_page(page: str) -> str:
    for name, content in costs_page.parts().items():
        page = with_part(page, name, content)
    return page


# Each generated file, or file with a generated part, with its text as a function of what it holds today.
GENERATED: Final[Mapping[str, Callable[[str], str]]] = {
    EVENTS: _events_page,
    ROLES: lambda _: roles_page.text(),
    SETTINGS: lambda _: settings_page.text(),
    COSTS: _costs_page,
    LIMITS: lambda page: with_part(page, "limits", limits_table.text()),
    PLAN_REPORT: lambda page: with_part(page, "rules", plan_rules.text()),
    openapi.FILE.relative_to(ROOT).as_posix(): lambda _: openapi.written(),
}


def stale(root: Path = ROOT) -> list[str]:
    """List the generated files that differ from what the code says today."""
    return [name for name, _ in _changes(root)]


def write(root: Path = ROOT) -> list[str]:
    """Write every generated file that differs from what the code says today, and list those."""
    changes = _changes(root)
    for name, text in changes:
        (root / name).write_text(text, encoding="utf-8")
    return [name for name, _ in changes]


def _changes(root: Path) -> list[tuple[str, str]]:
    """Return the name and the new text of each file that is not as the code says."""
    changes = []
    for name, generate in GENERATED.items():
        file = root / name
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        if (text := generate(before)) != before:
            changes.append((name, text))
    return changes


def main() -> None:
    """Write every generated file, and docs/scale.md with its plots, whose simulations take a while."""
    from ops.dev import scale_page

    written = [*write(), *scale_page.write()]
    print_line(f"wrote {', '.join(written)}" if written else "every generated page is current")


if __name__ == "__main__":
    main()
