"""The models: small worlds in which each promise of the pipeline could break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from functions.shared import names
from ops.reference.huntaze.dialects import DIALECTS
from tests.model import api
from tests.model.scenario import CREATED, Event, Scenario, customer, invoice, payment, subscription

_PAID: Final = "payment_intent.succeeded"
_UPDATED: Final = "customer.updated"
_SUBSCRIPTION: Final = "customer.subscription.updated"
_ENDED: Final = "customer.subscription.deleted"
_INVOICE: Final = "invoice.payment_failed"

_E1: Final = Event("E1", "evt_1", _PAID, payment())
_E2: Final = Event("E2", "evt_2", _PAID, payment(), tries=1)
_NEW: Final = Event("new", "evt_new", _UPDATED, customer(3), CREATED + 200)
_MID: Final = Event("mid", "evt_mid", _UPDATED, customer(2), CREATED + 100, tries=1)
_OLD: Final = Event("old", "evt_old", _UPDATED, customer(1), CREATED)
_STATE: Final = Event("state", "evt_state", _SUBSCRIPTION, subscription(1), CREATED)
_END: Final = Event("end", "evt_end", _ENDED, subscription(9, "canceled"), CREATED)
_INVOICED: Final = Event("E1", "evt_1", _INVOICE, invoice())

# An API without codes cannot be distinguished from a proxy in front of it.
_NO_CODES: Final = DIALECTS["no-codes"]
_BODY_FIRST: Final = DIALECTS["422-for-everything"]
_NO_TABLE_FAULTS: Final[tuple[str, ...]] = ()
_LATE: Final = (api.LATE, api.KILLED_LATE, api.STRANGER_404, api.STRANGER_422)
# One of each kind: an unknown outcome, with and without the API at work; a refusal; nothing done; a kill.
_FEW: Final = (api.LOST, api.FAILED, api.STRANGER_404, api.LIMITED, api.KILLED_AFTER)
_SECOND_HOST: Final = ("done, and done again by the client", "conflict", "done, but not answered")
# Within what the pipeline allows for clocks that differ, and far beyond it.
_LITTLE_SKEW: Final = (4.0,)
_MUCH_SKEW: Final = (60.0,)
# What an event fetched may be newer than what it brings: where the setting changes after a call of unknown
# outcome, the event's next delivery may bring back the older state, until the newer state's own event comes.
_UNLIKE: Final = ((names.REFETCH, names.WATERMARK),)


def _once(event: Event) -> Event:
    return replace(event, tries=1)


# One argument per line would hide the rows.
# fmt: off
_EFFECTS: Final = (
    Scenario("Each", "an event that counts each time, delivered twice at the same time",
        (_INVOICED, replace(_INVOICED, name="E1 again"))),
    Scenario("Once", "two events of one effect, one after the other", (_E1, _E2), switches=0, faults=2),
    Scenario("OnceAtOnce", "two events of one effect at the same time", (_E1, _E2)),
    Scenario("OnceProxy409", "a proxy answers 409, for a failed DNS lookup for example", (_E1, _E2),
        switches=0, faults=2, api_faults=(api.STRANGER_409, api.LOST), table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceTwice", "an event delivered twice at once, and another one of its effect",
        (_once(_E1), replace(_once(_E1), name="E1 again"), _E2)),
    Scenario("OnceRedriven", "bulk redrives through a proxy that goes on refusing",
        (replace(_E1, tries=4), _E2), switches=0, faults=4, waits=(61,), table_faults=_NO_TABLE_FAULTS,
        api_faults=(api.LOST, api.STRANGER_404, api.KILLED_AFTER)),
    Scenario("OnceRepeated", "the client of the table repeats a write whose answer was lost",
        (_E1, _E2), faults=2, api_faults=(api.LOST,), table_faults=_SECOND_HOST),
    Scenario("OnceParked", "the queue fails while a refused event is parked",
        (_E1, _E2), switches=0, faults=2, table_faults=_NO_TABLE_FAULTS,
        queue_faults=("killed before", "killed after", "throttled", "done, but not answered")),
    Scenario("OnceReused", "an event comes again with another body, after a deploy or a heal",
        (replace(_E1, again=payment(amount=2)), _E2),
        switches=0, table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceReusedNoCodes", "the same with an API without codes: an operator must check it",
        (replace(_E1, again=payment(amount=2)), _E2), left=True,
        switches=0, dialect=_NO_CODES, table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceNoCodes", "two events of one effect, with an API without codes",
        (_E1, _E2), dialect=_NO_CODES),
    Scenario("OnceBodyFirst", "the same with an API that checks the body before the key",
        (_E1, _E2), dialect=_BODY_FIRST),
    Scenario("OnceLate", "the API applies a call, or rolls it back, when nobody waits for it any more",
        (_E1, _E2), switches=0, faults=2, api_faults=_LATE, table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceLateNoCodes", "the same with an API that answers 409 to a busy key and to a done one",
        (_E1, _E2), switches=0, faults=2, api_faults=_LATE, dialect=_NO_CODES, table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceLateBodyFirst", "the same with an API that answers 422 to a key in progress",
        (_E1, _E2), switches=0, faults=2, api_faults=_LATE, dialect=_BODY_FIRST,
        table_faults=_NO_TABLE_FAULTS),
    Scenario("OnceSkew", "clocks that differ by more than an invocation lives",
        (_once(_E1), replace(_once(_E1), name="E1 again"), _E2), switches=2, skews=_MUCH_SKEW,
        table_faults=("killed before",), api_faults=(api.STRANGER_422,)),
)
_STATES: Final = (
    Scenario("Latest", "two states of one object", (_NEW, _OLD)),
    Scenario("LatestFaults", "two states of one object, one after the other", (_NEW, _OLD),
        switches=0, faults=2, table_faults=("done, but not answered",),
        api_faults=(api.LOST, api.FAILED, api.STRANGER_404, api.REJECTED)),
    Scenario("LatestThree", "three states of one object", (_once(_NEW), _MID, _once(_OLD)), switches=0),
    Scenario("LatestDoubts", "two states of unknown outcome, both refused by a proxy", (_NEW, _OLD),
        switches=0, faults=4, waits=(61,), table_faults=_NO_TABLE_FAULTS,
        api_faults=(api.FAILED, api.STRANGER_404)),
    Scenario("LatestDoubtsNoCodes", "the same with an API without codes", (_NEW, _OLD),
        switches=0, faults=4, waits=(61,), dialect=_NO_CODES, table_faults=_NO_TABLE_FAULTS,
        api_faults=(api.FAILED, api.STRANGER_404)),
    Scenario("LatestRepeated", "the client of the table repeats a write whose answer was lost",
        (_NEW, _OLD), api_faults=(api.LOST,), table_faults=_SECOND_HOST),
    Scenario("LatestReused", "a state comes again with another body",
        (replace(_NEW, again=customer(3, email="e")), _OLD),
        switches=0, table_faults=_NO_TABLE_FAULTS),
    Scenario("LatestReusedNoCodes", "the same with an API without codes: an operator must check it",
        left=True, events=(replace(_NEW, again=customer(3, email="e")), _OLD),
        switches=0, dialect=_NO_CODES, table_faults=_NO_TABLE_FAULTS),
    Scenario("LatestLate", "the API applies a state when nobody waits for it any more",
        (_NEW, _once(_OLD)), api_faults=_LATE, table_faults=_NO_TABLE_FAULTS, waits=(9, 61)),
    Scenario("LatestLate524", "the same, behind a proxy that answers 524 meanwhile", (_NEW, _OLD),
        faults=2, api_faults=(api.LATE_524, api.UNSENT), table_faults=_NO_TABLE_FAULTS, waits=(9, 61)),
    Scenario("LatestLateRefused", "the same, and the next delivery is refused by a proxy",
        (_NEW, _OLD), switches=0, faults=2, api_faults=(api.LATE, api.STRANGER_404),
        table_faults=_NO_TABLE_FAULTS, waits=(0.5,), oversleep=9),
    Scenario("LatestLateNoCodes", "the same with an API without codes",
        (_NEW, _once(_OLD)), api_faults=_LATE, dialect=_NO_CODES, table_faults=_NO_TABLE_FAULTS,
        waits=(9, 61)),
    Scenario("LatestLittleSkew", "clocks that differ by less than the pipeline allows",
        (_once(_NEW), _once(_OLD)), skews=_LITTLE_SKEW, waits=(7,), table_faults=_NO_TABLE_FAULTS,
        api_faults=(api.LATE, api.KILLED_LATE)),
    Scenario("LatestSkewAtTheEnd", "the same, when an invocation's time is over",
        (_once(_NEW), _once(_OLD)), skews=_LITTLE_SKEW, waits=(27,), table_faults=("killed before",),
        api_faults=(api.KILLED_LATE,)),
    Scenario("LatestSkew", "clocks that differ by more than an invocation lives", (_once(_NEW), _once(_OLD)),
        skews=_MUCH_SKEW, switches=2, ordered=False, waits=(1,), table_faults=("killed before",),
        api_faults=()),
    Scenario("LatestTwiceSkew", "the same, the newer one twice at once, and an older one",
        (_once(_NEW), replace(_once(_NEW), name="new again"), replace(_OLD, tries=0)),
        skews=_MUCH_SKEW, switches=2, ordered=False, waits=(1,), table_faults=("killed before",),
        api_faults=()),
    Scenario("End", "a state and the object's end", (_STATE, _once(_END))),
    Scenario("EndTwice", "a state and two events of the object's end",
        (_once(_STATE), _END, replace(_END, name="end 2", id="evt_end2", tries=1)), switches=0),
    Scenario("EndLate", "the API applies a state, or the end, when nobody waits for it any more",
        (_STATE, _once(_END)), api_faults=_LATE, table_faults=_NO_TABLE_FAULTS, waits=(9, 61)),
    Scenario("EndSkew", "clocks that differ by more than an invocation lives", (_once(_STATE), _once(_END)),
        skews=_MUCH_SKEW, switches=2, ordered=False, waits=(1,), table_faults=("killed before",),
        api_faults=()),
    Scenario("Tie", "two states of one second, with previous_attributes",
        (Event("B", "evt_b", _UPDATED, customer(2), previous={"name": "name 1", "metadata": {"rank": "1"}}),
         Event("A", "evt_a", _UPDATED, customer(1), tries=1,
             previous={"name": "name 0", "metadata": {"rank": "0"}})), api_faults=_FEW),
    Scenario("TieFetched", "two states of one second, with a key for Stripe's API",
        (Event("B", "evt_b", _UPDATED, customer(2)), Event("A", "evt_a", _UPDATED, customer(1), tries=1)),
        stripe=(customer(2),), stripe_key=True, api_faults=_FEW),
    Scenario("TieUnknown", "two states of one second, whose order is unknown",
        (Event("B", "evt_b", _UPDATED, customer(1)),
         Event("A", "evt_a", _UPDATED, customer(1, email="e"), tries=1)), api_faults=_FEW),
)
_REFETCHED: Final = (
    Scenario("Refetch", "two events, each of which fetches the current state",
        (Event("E1", "evt_1", _UPDATED, customer(1), CREATED, tries=1),
         Event("E2", "evt_2", _UPDATED, customer(2), CREATED + 100, stripe=1)), waits=(61,),
        orders=(names.REFETCH,), stripe=(customer(1), customer(2)), stripe_key=True, api_faults=_FEW),
    Scenario("RefetchLate", "the same, with calls that are applied late",
        (Event("E1", "evt_1", _UPDATED, customer(1), CREATED),
         Event("E2", "evt_2", _UPDATED, customer(2), CREATED + 100, stripe=1, tries=1)),
        orders=(names.REFETCH,), stripe=(customer(1), customer(2)), stripe_key=True,
        api_faults=_LATE, table_faults=_NO_TABLE_FAULTS, waits=(9,)),
    Scenario("RefetchEnd", "a state that is fetched, and the object's end", (_STATE, _once(_END)),
        orders=(names.REFETCH,), stripe=(subscription(1, "canceled"),), stripe_key=True, api_faults=_FEW),
    Scenario("RefetchEndLate", "the same, with calls that are applied late", (_STATE, _once(_END)),
        orders=(names.REFETCH,), stripe=(subscription(1, "canceled"),), stripe_key=True,
        api_faults=_LATE, table_faults=_NO_TABLE_FAULTS, waits=(9, 61)),
)
_SETTINGS: Final = tuple(
    Scenario(f"Order{first.capitalize()}{second.capitalize()}", f"order changes from {first} to {second}",
        (_once(_NEW), _once(_OLD) if (first, second) in _UNLIKE else _OLD), switches=0,
        orders=(first, second), stripe=(customer(3),), stripe_key=True,
        api_faults=_FEW)
    for first in names.ORDERS for second in names.ORDERS if first != second
) + tuple(
    Scenario(f"End{first.capitalize()}{second.capitalize()}", f"from {first} to {second}, and an end",
        (_STATE, _once(_END)), switches=0, orders=(first, second), stripe=(subscription(1),), stripe_key=True,
        api_faults=_FEW)
    for first in names.ORDERS for second in names.ORDERS if first != second
)
_REPLAYED: Final = (
    *(Scenario(f"Forced{word}", f"a forced replay of {what}",
        (event, replace(event, name=f"{event.name} replayed", forced=True)), waits=(61,))
    for word, what, event in (
        ("Once", "an effect, applied before it or not", _E1),
        ("Each", "an event that counts each time", _INVOICED),
        ("Latest", "a state", _OLD),
    )),
    Scenario("ForcedTwo", "a forced replay of an event, and another one of its effect",
        (_once(_E1), replace(_E1, name="E1 replayed", forced=True),
         replace(_E2, name="E2 replayed", forced=True)), switches=0),
)
# fmt: on

MODELS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario for scenario in (*_EFFECTS, *_STATES, *_REFETCHED, *_SETTINGS, *_REPLAYED)
}
