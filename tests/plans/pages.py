"""Write the examples and the comparison of docs/plan-report.md: `python -m tests.plans.pages`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ops import ROOT, plan_report
from ops.dev.docs import with_part
from tests.plans import comparison, files

PAGE: Final = ROOT / "docs" / "plan-report.md"
EXAMPLES: Final = ("unrouted-and-archive", "object-lock", "code")


def filled(page: str) -> str:
    """Return the page with the reports of the stored plans as quotations."""
    for name in EXAMPLES:
        report = plan_report.render(files.load(name), "dev", refreshed=False)
        lines = [line for line in report.splitlines() if not line.startswith("<!--")]
        page = with_part(page, name, "\n".join(f"> {line}".rstrip() for line in lines))
    return with_part(page, "comparison", comparison.table())


def main(page: Path = PAGE) -> None:
    """Write the page."""
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
