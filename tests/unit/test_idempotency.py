"""What becomes of an event while the idempotency table fails, with a table in memory that can be told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from functions.pipeline import aws, idempotency
from functions.pipeline import table as idempotency_table
from functions.pipeline.config import DeliverySettings
from functions.pipeline.errors import ConfigurationError, EventError, PermanentError, TransientError
from functions.pipeline.idempotency import idempotency_id, once
from tests.functions.runtime import Context

SETTINGS = DeliverySettings(
    livemode=False,
    api_url="https://api.example.com",
    api_key="hk",
    idempotency_table="table",
    idempotency_expiry_seconds=100,
    dead_letter_queue_url="https://sqs.example.com/dlq",
    order="watermark",
    stripe_reads_per_second=20,
)
TIMEOUT = ConnectTimeoutError(endpoint_url="https://dynamodb")
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "DynamoDB")
FORBIDDEN = ClientError({"Error": {"Code": "AccessDeniedException"}}, "DynamoDB")


class FakeTable:
    """A DynamoDB table in memory that knows the calls of Powertools; ``failing`` names those that fail."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.failing: dict[str, Exception] = {}

    def client(self, service: str, **_options: Any) -> FakeTable:
        assert service == "dynamodb"
        return self

    # Powertools registers its name in the client's user agent.
    meta = type("Meta", (), {"events": type("Events", (), {"register": lambda *_args: None})()})()

    def put_item(self, *, Item: dict[str, Any], **_condition: Any) -> None:  # noqa: N803 (AWS spells it so)
        self._fail("put_item")
        if Item["id"]["S"] in self.items:
            found = {
                "Error": {"Code": "ConditionalCheckFailedException"},
                "Item": self.items[Item["id"]["S"]],
            }
            raise ClientError(found, "PutItem")  # type: ignore[arg-type]  # the stub knows no Item
        self.items[Item["id"]["S"]] = Item

    def update_item(
        self,
        *,
        Key: dict[str, Any],  # noqa: N803
        ExpressionAttributeNames: dict[str, str],  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        **_expression: Any,
    ) -> None:
        self._fail("update_item")
        named = {
            ExpressionAttributeNames[name.replace(":", "#")]: value
            for name, value in ExpressionAttributeValues.items()
        }
        self.items[Key["id"]["S"]] |= named

    def delete_item(self, *, Key: dict[str, Any], **_options: Any) -> None:  # noqa: N803
        self._fail("delete_item")
        self.items.pop(Key["id"]["S"], None)

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise self.failing[call]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTable]:
    fake = FakeTable()
    monkeypatch.setattr(aws, "session", lambda: fake)
    for cached in (idempotency.records, idempotency_table.client):
        cached.cache_clear()
    yield fake
    for cached in (idempotency.records, idempotency_table.client):
        cached.cache_clear()


def run(function: Any) -> dict[str, Any]:
    return once(
        function,
        handler="payments",
        settings=SETTINGS,
        context=Context(time.monotonic() + 30, None),  # type: ignore[arg-type]  # what Powertools uses of it
        repeated=lambda result: {**result, "outcome": "duplicate"},
        idempotency_key="evt_1",
    )


def applies(*, idempotency_key: str) -> dict[str, Any]:
    return {"outcome": "applied", "key": idempotency_key}


def refuses(*, idempotency_key: str) -> dict[str, Any]:
    raise PermanentError(f"the API answered 422 to {idempotency_key}", status=422, path="/x", answer="")


def must_not_run(*, idempotency_key: str) -> dict[str, Any]:
    raise AssertionError(f"{idempotency_key} was applied without a record")


def test_record_is_found_by_the_id_that_tools_compute(table: FakeTable) -> None:
    assert run(applies) == {"outcome": "applied", "key": "evt_1"}
    (key,) = table.items
    assert key == idempotency_id("payments", "evt_1")
    assert key.startswith("payments#")
    assert table.items[key]["status"] == {"S": "COMPLETED"}
    assert run(must_not_run)["outcome"] == "duplicate"


def test_record_in_progress_ends_with_the_invocations_time(table: FakeTable) -> None:
    def look(*, idempotency_key: str) -> dict[str, Any]:
        (item,) = table.items.values()
        ends = int(item["in_progress_expiration"]["N"]) / 1000
        assert ends == pytest.approx(time.time() + 30, abs=2)
        return {"outcome": idempotency_key}

    run(look)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(TIMEOUT, TransientError), (THROTTLED, TransientError), (FORBIDDEN, ConfigurationError)],
)
def test_nothing_is_applied_without_a_record(
    table: FakeTable, failure: Exception, kind: type[EventError]
) -> None:
    table.failing["put_item"] = failure
    with pytest.raises(kind, match="the idempotency table"):
        run(must_not_run)


def test_failed_event_is_told_by_its_own_reason(table: FakeTable) -> None:
    with pytest.raises(PermanentError, match="422"):
        run(refuses)
    assert table.items == {}


@pytest.mark.parametrize("failure", [TIMEOUT, THROTTLED, FORBIDDEN])
def test_record_that_cannot_be_deleted_does_not_hide_the_reason(table: FakeTable, failure: Exception) -> None:
    table.failing["delete_item"] = failure
    with pytest.raises(PermanentError, match="422"):
        run(refuses)
    assert len(table.items) == 1, "it ends with the invocation's time"


def test_applied_event_whose_record_fails_is_tried_again(table: FakeTable) -> None:
    table.failing["update_item"] = THROTTLED
    with pytest.raises(TransientError, match="the idempotency table answered ThrottlingException"):
        run(applies)
    with pytest.raises(TransientError, match="another invocation"):
        run(must_not_run)


def test_same_event_of_another_handler_has_its_own_record() -> None:
    assert idempotency_id("payments", "evt_1") != idempotency_id("billing", "evt_1")
