"""The claim of an event, and what remains when its invocation is killed or the table fails."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from functions.pipeline import claims
from functions.pipeline import idempotency_table as table_module
from functions.pipeline.claims import Claim, ClaimItems
from functions.pipeline.effects import EffectDoneError, effect_key
from functions.pipeline.idempotency import CompletedError, record_key
from functions.pipeline.idempotency_table import Table, item_key
from functions.pipeline.ordering import BusyError, StaleEventError, State, states_key
from functions.shared import names
from functions.shared.errors import ConfigurationError, EventError, TransientError, UnsettledError
from ops.local.clients import Aws
from tests.functions.conftest import TABLE

EXPIRY = 8_640_000
RESULT = {"outcome": "applied", "event_type": "customer.updated", "path": "/x"}
TIMEOUT = ConnectTimeoutError(endpoint_url="https://dynamodb")
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "DynamoDB")
FORBIDDEN = ClientError({"Error": {"Code": "AccessDeniedException"}}, "DynamoDB")
CONFLICT = ClientError(
    {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
    },
    "TransactWriteItems",
)
_numbers = itertools.count(1)


class Failing:
    """The table's client; `failure` is raised once, before or after the write is made."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.failure: Exception | None = None
        self.done = False
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def made(**arguments: Any) -> Any:
            self.calls += 1
            failure, self.failure = self.failure, None
            if failure is not None and not self.done:
                raise failure
            answer = call(**arguments)
            if failure is not None:
                raise failure
            return answer

        return made


@pytest.fixture
def client(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    failing = Failing(aws.client("dynamodb"))
    monkeypatch.setattr(table_module, "client", lambda: failing)
    return failing


@pytest.fixture
def table(client: Failing) -> Table:
    return Table(TABLE, EXPIRY)


def item(client: Failing, key: str) -> dict[str, Any]:
    found = client.get_item(TableName=TABLE, Key={"id": {"S": key}}, ConsistentRead=True).get("Item", {})
    return dict(table_module._plain(found))


def put(client: Failing, key: str, **attributes: Any) -> None:
    client.put_item(TableName=TABLE, Item=table_module._marshalled({"id": key, **attributes}))


class Object:
    """One object with its events, by the second in which Stripe created them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.id = f"cus_{next(_numbers)}"
        self.states = states_key(None, "customer", self.id)

    def event(
        self, created: int, *, order: str = names.WATERMARK, is_end: bool = False, **hashes: Any
    ) -> ClaimItems:
        key = f"{self.id}_{created}{'_end' if is_end else ''}{hashes.get('after', '')}"
        state = State(key, created, order, is_end=is_end, **hashes)
        effect = effect_key(self.id, "end") if is_end else None
        return ClaimItems(key, record_key("billing", key), effect, self.states, state)

    def begin(self, items: ClaimItems, *, seconds: float = 30.0) -> Claim:
        return claims.begin(self.table, items, claims.new_claim_id(), time.time() + seconds)

    def apply(self, items: ClaimItems) -> None:
        self.begin(items).complete(RESULT)

    def orphan(self, items: ClaimItems) -> Claim:
        """A claim of an invocation that was killed so long ago that its lease has ended."""
        return self.begin(items, seconds=-60.0)


@pytest.fixture
def customer(table: Table) -> Object:
    return Object(table)


def once(key: str, effect: str) -> ClaimItems:
    return ClaimItems(key, record_key("payments", key), effect_key(effect))


def begin(table: Table, items: ClaimItems, *, seconds: float = 30.0) -> Claim:
    return claims.begin(table, items, claims.new_claim_id(), time.time() + seconds)


@pytest.fixture
def name() -> str:
    return f"evt_{next(_numbers)}"


def test_start_and_end_of_an_event_are_one_call_each(client: Failing, customer: Object, name: str) -> None:
    for items in (once(name, name), customer.event(100), customer.event(200, is_end=True)):
        client.calls = 0
        begin(customer.table, items).complete(RESULT)
        assert client.calls == 2


def test_record_is_in_progress_until_the_invocations_time_is_over(
    client: Failing, table: Table, name: str
) -> None:
    items = once(name, name)
    claim = begin(table, items)
    record = item(client, items.record)
    assert record["status"] == "INPROGRESS"
    assert int(record["in_progress_expiration"]) / 1000 == pytest.approx(time.time() + 30, abs=5)
    with pytest.raises(UnsettledError, match="another invocation is applying this event"):
        begin(table, items)
    claim.complete(RESULT)
    record = item(client, items.record)
    assert record["status"] == "COMPLETED"
    assert int(record["expiration"]) == pytest.approx(time.time() + EXPIRY, abs=5)
    with pytest.raises(CompletedError) as done:
        begin(table, items)
    assert done.value.completed_at == int(record["completed_at"])


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (TIMEOUT, TransientError),
        (THROTTLED, TransientError),
        (CONFLICT, TransientError),
        (FORBIDDEN, ConfigurationError),
    ],
)
def test_nothing_is_held_where_the_table_fails(
    client: Failing, table: Table, name: str, failure: Exception, kind: type[EventError]
) -> None:
    client.failure = failure
    with pytest.raises(kind, match="the idempotency table"):
        begin(table, once(name, name))
    assert not begin(table, once(name, name)).doubt


def test_own_write_whose_answer_was_lost_is_known_again(client: Failing, customer: Object) -> None:
    items = customer.event(100, is_end=True)
    claim = claims.new_claim_id()
    client.failure, client.done = TIMEOUT, True
    with pytest.raises(TransientError):
        claims.begin(customer.table, items, claim, time.time() + 30)
    held = claims.begin(customer.table, items, claim, time.time() + 30)
    assert not held.doubt
    held.complete(RESULT)


def test_event_whose_invocation_was_killed_is_in_doubt(table: Table, customer: Object, name: str) -> None:
    for items in (once(name, name), ClaimItems(name, record_key("billing", name)), customer.event(1)):
        begin(table, items, seconds=-60)
        assert begin(table, items).doubt


def test_event_that_was_surely_not_applied_leaves_no_doubt(table: Table, customer: Object, name: str) -> None:
    for items in (once(name, name), customer.event(100)):
        begin(table, items).release()
        again = begin(table, items)
        assert not again.doubt
        again.release()
    begin(table, once(f"{name}_second", name)).complete(RESULT)
    customer.apply(customer.event(50))


def test_effect_of_unknown_outcome_waits_and_a_done_one_is_a_duplicate(table: Table, name: str) -> None:
    first, second = once(name, name), once(f"{name}_second", name)
    begin(table, first).mark_unknown(in_flight=True)
    with pytest.raises(UnsettledError, match="the first event of the same effect is not settled"):
        begin(table, second)
    begin(table, first).complete(RESULT)
    with pytest.raises(EffectDoneError) as done:
        begin(table, second)
    assert done.value.by == name


def test_late_invocation_deletes_nothing_of_its_successor(client: Failing, table: Table, name: str) -> None:
    items = once(name, name)
    late = begin(table, items, seconds=-60)
    successor = begin(table, items)
    late.release()
    late.mark_unknown(in_flight=True)
    assert item(client, items.record)["status"] == "INPROGRESS"
    with pytest.raises(UnsettledError):
        begin(table, once(f"{name}_second", name))
    successor.complete(RESULT)
    late.complete(RESULT)
    assert item(client, items.record)["status"] == "COMPLETED"


def test_late_completion_is_kept_and_releases_what_waits(client: Failing, customer: Object) -> None:
    late, newest, oldest = customer.event(200), customer.event(300), customer.event(100)
    claim = customer.orphan(late)
    holder = customer.begin(newest)
    claim.complete(RESULT)
    found = item(client, customer.states)
    assert int(found["applied"]) == 200
    assert set(found["unsettled"]) == {newest.key}
    holder.release()
    with pytest.raises(StaleEventError):
        customer.begin(oldest)


def test_late_completion_changes_nothing(client: Failing, customer: Object) -> None:
    claim = customer.orphan(customer.event(100))
    customer.apply(customer.event(200))
    claim.complete(RESULT)
    found = item(client, customer.states)
    assert (int(found["applied"]), found["unsettled"]) == (200, {})


def test_older_state_is_stale_and_waits_for_a_newer_one_of_unknown_outcome(customer: Object) -> None:
    newer, older = customer.event(200), customer.event(100)
    customer.orphan(newer).mark_unknown(in_flight=False)
    with pytest.raises(UnsettledError, match="a newer event of the same object is not settled"):
        customer.begin(older)
    customer.apply(newer)
    with pytest.raises(StaleEventError):
        customer.begin(older)


def test_state_waits_for_a_call_that_may_still_be_at_work(customer: Object) -> None:
    older, newer = customer.event(100), customer.event(200)
    customer.begin(older).mark_unknown(in_flight=True)
    with pytest.raises(UnsettledError, match="an earlier call for the same object may still be in flight"):
        customer.begin(newer)
    assert customer.begin(older).doubt, "the event itself may come again at once"


def test_state_waits_for_one_that_is_being_applied(customer: Object) -> None:
    claim = customer.begin(customer.event(100))
    with pytest.raises(BusyError):
        customer.begin(customer.event(200))
    claim.release()
    customer.apply(customer.event(200))


def test_killed_invocations_lease_outlives_its_time(customer: Object) -> None:
    """Clocks differ, and the API may be processing a call whose caller is gone."""
    customer.begin(customer.event(100), seconds=-5)
    with pytest.raises(UnsettledError, match="may still be in flight"):
        customer.begin(customer.event(200))
    customer.begin(customer.event(100), seconds=-16)
    customer.apply(customer.event(200))


@pytest.mark.parametrize("order", [names.WATERMARK, names.REFETCH])
def test_no_state_is_applied_over_the_objects_end(customer: Object, order: str) -> None:
    customer.apply(customer.event(200))
    end = customer.event(100, is_end=True, order=order)
    customer.apply(end)
    for created in (99, 100):
        with pytest.raises(StaleEventError):
            customer.begin(customer.event(created, order=order))


@pytest.mark.parametrize("order", [names.WATERMARK, names.REFETCH])
def test_states_wait_for_an_end_of_unknown_outcome(customer: Object, order: str) -> None:
    end = customer.event(100, is_end=True, order=order)
    customer.orphan(end).mark_unknown(in_flight=False)
    with pytest.raises(UnsettledError, match="a newer event of the same object is not settled"):
        customer.begin(customer.event(100, order=order))
    customer.apply(end)
    with pytest.raises(StaleEventError):
        customer.begin(customer.event(100, order=order))


@pytest.mark.parametrize("before", names.ORDERS)
@pytest.mark.parametrize("after", names.ORDERS)
def test_change_of_order_forgets_nothing(customer: Object, before: str, after: str) -> None:
    applied, doubtful, end = (
        customer.event(200, order=before),
        customer.event(400, order=before),
        customer.event(500, order=before, is_end=True),
    )
    customer.apply(applied)
    customer.orphan(doubtful).mark_unknown(in_flight=False)
    if after == names.WATERMARK:
        with pytest.raises(StaleEventError):
            customer.begin(customer.event(100, order=after))
        with pytest.raises(UnsettledError):
            customer.begin(customer.event(300, order=after))
    again = customer.begin(customer.event(400, order=after))
    assert again.doubt
    again.complete(RESULT)
    customer.apply(end)
    if after != names.OFF:
        with pytest.raises(StaleEventError):
            customer.begin(customer.event(450, order=after))


def test_fetched_state_is_as_new_as_its_fetch(customer: Object) -> None:
    claim = customer.begin(customer.event(100, order=names.REFETCH))
    claim.complete(RESULT, fetched_at=1000.0, body="fetched")
    with pytest.raises(StaleEventError):
        customer.begin(customer.event(994))
    customer.apply(customer.event(996))


def test_tie_is_decided_by_what_an_event_says_was_there_before(customer: Object) -> None:
    first = customer.event(100, after="a", before="start")
    second = customer.event(100, after="b", before="a")
    customer.apply(second)
    with pytest.raises(StaleEventError):
        customer.begin(first)


def test_tie_in_order_applies_both(customer: Object) -> None:
    customer.apply(customer.event(100, after="a", before="start"))
    claim = customer.begin(customer.event(100, after="b", before="a"))
    assert not claim.undecided
    claim.complete(RESULT)


@pytest.mark.parametrize(
    ("applied", "tie"),
    [
        ({"after": "b", "before": "a"}, {"after": "a", "before": "b"}),
        ({"after": "b", "before": "x"}, {"after": "a", "before": "y"}),
        ({"after": "b"}, {"after": "a"}),
    ],
    ids=["there and back", "with another between", "without a word of it"],
)
def test_tie_that_nothing_decides_is_undecided(
    customer: Object, applied: dict[str, Any], tie: dict[str, Any]
) -> None:
    customer.apply(customer.event(100, **applied))
    assert customer.begin(customer.event(100, **tie)).undecided


def test_records_of_powertools_are_read(client: Failing, table: Table, name: str) -> None:
    items = once(name, name)
    now = int(time.time())
    live = {"status": "INPROGRESS", "expiration": now + EXPIRY}
    put(client, items.record, **live, in_progress_expiration=(now + 30) * 1000)
    with pytest.raises(UnsettledError):
        begin(table, items)
    put(client, items.record, **live, in_progress_expiration=(now - 1) * 1000)
    claim = begin(table, items)
    assert claim.doubt
    claim.mark_unknown(in_flight=False)
    put(client, items.record, status="COMPLETED", data='{"outcome": "applied"}', expiration=now + EXPIRY)
    with pytest.raises(CompletedError) as done:
        begin(table, items)
    assert done.value.completed_at == now * 1000
    put(client, items.record, status="COMPLETED", data="{}", expiration=now - 1)
    begin(table, once(name, f"{name} again"))


def test_effects_and_streams_of_earlier_versions_are_read(
    client: Failing, customer: Object, name: str
) -> None:
    put(client, item_key("effect", name), idempotency_key="evt_before", refused=True)
    with pytest.raises(UnsettledError):
        begin(customer.table, once(name, name))
    put(client, item_key("effect", name), idempotency_key="evt_before", done=True)
    with pytest.raises(EffectDoneError):
        begin(customer.table, once(name, name))
    put(client, customer.states, applied=100, unsettled={"evt_before": 300}, refused="evt_before")
    with pytest.raises(StaleEventError):
        customer.begin(customer.event(99))
    with pytest.raises(UnsettledError):
        customer.begin(customer.event(200))
    customer.apply(customer.event(400))
    assert item(client, customer.states)["unsettled"] == {}


def test_event_that_needs_no_call_is_recorded_once(client: Failing, table: Table, name: str) -> None:
    items = ClaimItems(name, record_key("payments", name))
    claims.complete_without_call(table, items, claims.new_claim_id(), RESULT)
    with pytest.raises(CompletedError):
        claims.complete_without_call(table, items, claims.new_claim_id(), RESULT)
    other = ClaimItems(f"{name}_other", record_key("payments", f"{name}_other"))
    begin(table, other)
    with pytest.raises(UnsettledError):
        claims.complete_without_call(table, other, claims.new_claim_id(), RESULT)


def test_same_event_of_another_handler_has_its_own_record() -> None:
    assert record_key("payments", "evt_1") != record_key("billing", "evt_1")


def test_event_of_the_same_second_waits_for_one_in_doubt_and_no_two_for_each_other(customer: Object) -> None:
    doubtful, tie = customer.event(100, after="b"), customer.event(100, after="a")
    customer.orphan(doubtful).mark_unknown(in_flight=False)
    with pytest.raises(UnsettledError, match="a newer event of the same object is not settled"):
        customer.begin(tie)
    customer.orphan(customer.event(100, after="a", order=names.OFF)).mark_unknown(in_flight=False)
    customer.begin(doubtful).complete(RESULT)
    customer.apply(tie)


def test_states_are_applied_one_at_a_time_without_an_order_too(customer: Object) -> None:
    """If the setting changes, the next event must know what is being applied."""
    customer.begin(customer.event(100))
    for is_end in (False, True):
        with pytest.raises(BusyError):
            customer.begin(customer.event(200, order=names.OFF, is_end=is_end))


def test_late_completion_is_whole_or_not_at_all(client: Failing, customer: Object) -> None:
    items = customer.event(200)
    claim = customer.orphan(items)
    customer.begin(customer.event(300))
    client.calls = 0
    claim.complete(RESULT)
    assert client.calls == 2, "the write that is refused, and one that writes all that is known"


def test_record_without_a_call_whose_answer_was_lost_is_the_invocations_own(
    client: Failing, table: Table, name: str
) -> None:
    items, claim = ClaimItems(name, record_key("payments", name)), claims.new_claim_id()
    client.failure, client.done = TIMEOUT, True
    with pytest.raises(TransientError):
        claims.complete_without_call(table, items, claim, RESULT)
    claims.complete_without_call(table, items, claim, RESULT)
    with pytest.raises(CompletedError):
        claims.complete_without_call(table, items, claims.new_claim_id(), RESULT)


@pytest.mark.parametrize("kind", ["each", "once", "latest"])
def test_doubt_outlives_the_lost_answer_of_the_write_that_replaces_it(
    client: Failing, table: Table, customer: Object, name: str, kind: str
) -> None:
    items = {
        "each": ClaimItems(name, record_key("billing", name)),
        "once": once(name, name),
        "latest": customer.event(100),
    }[kind]
    begin(table, items, seconds=-60)
    claim = claims.new_claim_id()
    client.done = True
    real = client._client

    class LosesTheSecond:
        """The first write finds an item; the second is made, but its response is lost."""

        writes = 0

        def __getattr__(self, call: str) -> Any:
            def made(**arguments: Any) -> Any:
                answer = getattr(real, call)(**arguments)
                self.writes += 1
                if self.writes == 1:
                    raise TIMEOUT
                return answer

            return made

    client._client = LosesTheSecond()
    with pytest.raises(TransientError):
        claims.begin(table, items, claim, time.time() + 30)
    assert claims.begin(table, items, claim, time.time() + 30).doubt


def test_object_with_many_events_in_doubt_is_completed(client: Failing, customer: Object) -> None:
    put(client, customer.states, unsettled={f"evt_{'x' * 24}{number}": number for number in range(1, 400)})
    for created in (500, 501):
        customer.apply(customer.event(created))
    found = item(client, customer.states)
    assert int(found["applied"]) == 501
    assert len(found["unsettled"]) == 399 - 2 * 50
