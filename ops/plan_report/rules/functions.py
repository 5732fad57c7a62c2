"""Rules about the settings and the code of the functions: mode, API, order, platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from functions.shared import names
from ops.plan_report.changes import ChangeKind
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan
from ops.plan_report.rules.data import FUNCTION
from ops.plan_report.text import value

VARIABLES: Final = ("environment", 0, "variables")
# What each variable decides.
DECIDING: Final = (
    (
        names.LIVEMODE,
        "the function refuses events of the other mode: real payments are parked, or test events reach the "
        "production API",
        "change it together with stripe_event_source_name and both keys",
    ),
    (
        names.HUNTAZE_API_URL,
        "every payment is reported to another address, with the API key",
        "let the owner of the API confirm the address",
    ),
    (
        names.ORDER,
        "an older state of a customer or subscription may overwrite a newer one, or Stripe is asked for each "
        "update",
        "docs/reliability.md says what each order promises",
    ),
)
PLATFORM: Final = (("runtime",), ("architectures", 0))


def setting_changed(plan: Plan) -> Iterator[Hit]:
    """`livemode`, `huntaze_api_url` or `order` of a function differs."""
    for function in plan.changing(FUNCTION):
        for name, why, do in DECIDING:
            before, after = function.sides(*VARIABLES, name)
            if function.change is ChangeKind.UPDATE and function.differs(*VARIABLES, name):
                yield Hit(function.address, f"{name.lower()}: {value(after)}, was {value(before)}", why, do)


def platform_changed(plan: Plan) -> Iterator[Hit]:
    """A function runs on another runtime or processor."""
    for function in plan.changing(FUNCTION):
        for path in PLATFORM:
            if function.change is ChangeKind.UPDATE and function.differs(*path):
                before, after = function.sides(*path)
                yield Hit(
                    function.address,
                    f"{str(path[0]).rstrip('s')}: {value(after)}, was {value(before)}",
                    "code built for the former one may not start, and each event fails",
                    "the bundle must be built for it: `huntaze-stripe bundles`",
                )


def code_changed(plan: Plan) -> Iterator[Hit]:
    """A function runs other code."""
    for function in plan.changing(FUNCTION):
        if function.change is ChangeKind.UPDATE and function.differs("source_code_hash"):
            yield Hit(function.address, "it runs other code: see *Code*")
