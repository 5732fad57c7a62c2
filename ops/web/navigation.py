"""The pages, in the order of the navigation. Add yours here: see README.md."""

from __future__ import annotations

from typing import Final

from ops.web.page import Page
from ops.web.pages import (
    customer,
    dead_letters,
    events,
    flow,
    health,
    reconciliation,
    replays,
    send,
)

PAGES: Final[tuple[Page, ...]] = (
    flow.PAGE,
    events.PAGE,
    dead_letters.PAGE,
    replays.PAGE,
    reconciliation.PAGE,
    customer.PAGE,
    health.PAGE,
    send.PAGE,
)
