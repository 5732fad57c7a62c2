"""The pages, in the order of the navigation. Add yours here: see README.md."""

from __future__ import annotations

from typing import Final

from ops.web.page import Page
from ops.web.pages import flow, health

PAGES: Final[tuple[Page, ...]] = (flow.PAGE, health.PAGE)
