"""The parts of reconciliation: the gap, the healing envelope, and the rate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from functions.pipeline.envelope import parse
from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.gap import BATCH_SIZE, Event, Gap, compare
from functions.reconciliation.heal import Healer, HealTargets, envelope
from functions.reconciliation.job import STEP_SECONDS, steps
from functions.shared import names
from functions.shared.errors import ConfigurationError, TransientError
from functions.shared.rate_limiter import RateLimiter
from tests.unit import snapshots

SOURCE = "aws.partner/stripe.com/ed_test_unit"
TARGETS = HealTargets(
    SOURCE,
    "aws-cn",
    "111122223333",
    "cn-north-1",
    {"payments": "fn-payments", "billing": "fn-billing"},
    "https://queue",
)


def detail(event_type: str = "customer.updated", **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = snapshots.envelope(event_type, snapshots.customer())["detail"]
    return made | changes


class Known:
    """A ledger that knows some ids, and counts the events of each query."""

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)
        self.asked: list[int] = []

    def known(self, events: Sequence[Event]) -> set[str]:
        self.asked.append(len(events))
        return self.ids & {event["id"] for event in events}


@given(
    count=st.integers(0, 3 * BATCH_SIZE + 1),
    known=st.sets(st.integers(0, 3 * BATCH_SIZE)),
)
def test_every_event_is_compared_once_and_missing_unless_known(count: int, known: set[int]) -> None:
    events = [detail(id=f"evt_{number}", created=number) for number in range(count)]
    ledger = Known(*(f"evt_{number}" for number in known))
    gap = Gap()
    for batch in compare(events, ledger.known):
        assert batch.last_created == max(event["created"] for event in batch.events)
        gap.add_compared(batch.events)
        for event in batch.missing:
            gap.add_missing(event)
    assert gap.compared.total() == count == sum(ledger.asked)
    expected = [f"evt_{number}" for number in range(count) if number not in known]
    assert gap.missing.get("customer.updated", []) == expected
    assert gap.missing_count == gap.open_count == len(expected)


@given(since=st.integers(0, 10**6), length=st.integers(0, 10 * STEP_SECONDS))
def test_steps_cover_each_second_once(since: int, length: int) -> None:
    found = list(steps(since, since + length))
    assert found[0][0] == since
    assert found[-1][1] == since + length
    for (_, last), (first, _) in itertools.pairwise(found):
        assert first == last + 1
    assert all(first <= last < first + STEP_SECONDS for first, last in found)


@pytest.mark.parametrize("event_type", [*ROUTES, "payout.paid"])
def test_handlers_accept_the_envelope(event_type: str) -> None:
    event = detail(event_type)
    made = envelope(event, TARGETS)
    parsed = parse(made, livemode=False)
    assert (parsed.id, parsed.type) == (event["id"], event_type)
    assert made["detail"] == event
    assert set(made) == set(snapshots.envelope(event_type, {}))
    assert made["time"] == "2026-04-01T10:00:00Z"
    assert made["resources"] == [f"arn:aws-cn:events:cn-north-1::event-source/{SOURCE}"]


def test_envelope_id_names_the_event_and_reconcile() -> None:
    assert envelope(detail(id="evt_1"), TARGETS)["id"] == "reconcile-evt_1"


class Recorder:
    """Replaces both AWS clients: records calls, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.bodies: list[str] = []
        self._error = error

    def invoke(self, **arguments: Any) -> None:
        self.bodies.append(arguments["Payload"].decode())
        self._record(f"invoke {arguments['FunctionName']} {arguments['InvocationType']}")

    def send_message(self, **arguments: Any) -> None:
        self.bodies.append(arguments["MessageBody"])
        self._record(f"send {arguments['MessageGroupId']}")

    def _record(self, call: str) -> None:
        if self._error:
            raise self._error
        self.calls.append(call)


def healer(recorder: Recorder, **options: Any) -> Healer:
    client: Any = recorder
    return Healer(TARGETS, lambda_client=client, sqs_client=client, **options)


def test_event_is_sent_to_its_handler_first_and_to_the_audit_last() -> None:
    recorder = Recorder()
    assert healer(recorder).heal(detail("invoice.paid"))
    assert recorder.calls == ["invoke fn-billing Event", "send billing"]


def test_event_in_the_ledger_is_sent_to_its_handler_only() -> None:
    recorder = Recorder()
    assert healer(recorder).invoke_handler(detail("invoice.paid"))
    assert recorder.calls == ["invoke fn-billing Event"]


def test_unrouted_event_is_sent_to_the_audit_only() -> None:
    recorder = Recorder()
    assert healer(recorder).heal(detail("payout.paid"))
    assert recorder.calls == ["send other"]


def test_copies_hold_no_client_secret() -> None:
    recorder = Recorder()
    intent = snapshots.payment_intent(client_secret="pi_1_secret_PLANTED")
    assert healer(recorder).heal(detail("payment_intent.succeeded", data={"object": intent}))
    assert len(recorder.bodies) == 2
    assert "PLANTED" not in "".join(recorder.bodies)


def test_rate_is_kept() -> None:
    waits: list[float] = []
    limited = healer(Recorder(), limiter=RateLimiter(10.0, waits.append))
    for _ in range(4):
        limited.heal(detail())
    assert len(waits) == 3
    # No wait really happened, so each one is a tenth of a second longer than the one before.
    assert [round(wait, 1) for wait in waits] == [0.1, 0.2, 0.3]


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "quotes the event"}}, "Invoke")


def test_event_that_is_too_large_is_not_healed() -> None:
    recorder = Recorder()
    too_large = detail(data={"object": snapshots.customer(description="x" * names.EVENT_BYTES)})
    assert not healer(recorder).heal(too_large)
    assert recorder.calls == []


@pytest.mark.parametrize(("characters", "fits"), [(340_000, True), (350_000, False)])
def test_size_is_counted_in_bytes_of_the_message(characters: int, *, fits: bool) -> None:
    recorder = Recorder()
    japanese = detail(data={"object": snapshots.customer(description="株" * characters)})
    assert healer(recorder).heal(japanese) is fits
    assert bool(recorder.calls) is fits


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("AccessDeniedException"), ConfigurationError),
        (client_error("ResourceNotFoundException"), ConfigurationError),
        (client_error("TooManyRequestsException"), TransientError),
        (EndpointConnectionError(endpoint_url="https://lambda"), TransientError),
    ],
)
def test_failed_send_is_classified(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        healer(Recorder(error)).heal(detail())
    assert "quotes the event" not in str(caught.value)
