"""What the table's answers mean, and what no answer means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from functions.pipeline import idempotency_table
from functions.pipeline.idempotency_table import Table, Write
from functions.shared.errors import TransientError


@pytest.mark.parametrize("silence", [ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError])
@pytest.mark.parametrize("writes", [1, 2])
def test_table_that_does_not_answer_is_transient(
    monkeypatch: pytest.MonkeyPatch, silence: type[BotoCoreError], writes: int
) -> None:
    def call(**arguments: Any) -> Any:
        raise silence(endpoint_url="https://dynamodb.invalid")

    client = SimpleNamespace(update_item=call, transact_write_items=call)
    monkeypatch.setattr(idempotency_table, "client", lambda: client)

    with pytest.raises(TransientError, match=silence.__name__):
        Table("table", 60).write(*[Write(f"a#{n}", "SET a = :a", values={"a": 1}) for n in range(writes)])


def test_request_that_the_table_refuses_is_a_fault_of_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration error would stop the redrive of every other event in the queue."""

    def call(**arguments: Any) -> Any:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": "Item size"}}, "UpdateItem")

    monkeypatch.setattr(idempotency_table, "client", lambda: SimpleNamespace(update_item=call))

    with pytest.raises(TransientError, match="ValidationException"):
        Table("table", 60).write(Write("a", "SET a = :a", values={"a": 1}))
