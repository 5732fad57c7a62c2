"""What `python -m bench --only audit` counts is what the audit function does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from bench import audit, path, wire
from bench.endpoint import PUT_OBJECT, running_endpoint
from functions.ledger.postgres import TABLE, migrate
from ops.local.postgres import running_postgres

# BEGIN, the pipeline, and COMMIT.
ROUND_TRIPS = 3
# Those, the limit of the statements' time, and one for each row.
STATEMENTS = 3 + audit.ROWS


def test_a_batch_is_one_object_and_one_transaction_and_a_refused_row_costs_more(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    with (
        running_endpoint(tmp_path) as endpoint,
        running_postgres(tmp_path / "postgres") as url,
        psycopg.connect(url, autocommit=True) as database,
        wire.running_relay(urlsplit(url).port or 0, counts) as port,
    ):
        migrate(database)
        task = path.unpacked("audit", tmp_path)
        functions = audit.deployed(task, endpoint, url, port)
        calls = {name: audit.counted_calls(name, each, endpoint, counts) for name, each in functions.items()}
        # Each kind wrote the same events, 1 + COUNTED batches of them, the last one without a row of each.
        rows = database.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
    assert rows == ((1 + audit.COUNTED) * audit.ROWS,)
    for made in calls.values():
        assert made[PUT_OBJECT] == audit.COUNTED
    assert calls[audit.S3][wire.STATEMENTS] == calls[audit.S3][wire.ROUND_TRIPS] == 0
    assert calls[audit.POSTGRES][wire.STATEMENTS] == STATEMENTS * audit.COUNTED
    assert calls[audit.POSTGRES][wire.ROUND_TRIPS] == ROUND_TRIPS * audit.COUNTED
    assert calls[audit.POISON][wire.ROUND_TRIPS] > 2 * audit.ROWS * audit.COUNTED
    assert calls[audit.POISON]["AmazonSQS.SendMessage"] == audit.COUNTED


@pytest.mark.unit
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_messages_are_counted_however_they_are_cut(size: int) -> None:
    start = b"\0\0\0\x08\0\x03\0\0"
    query, sync = b"Q\0\0\0\x0aBEGIN\0", b"S\0\0\0\x04"
    # A row's text may look like a message.
    bind = b"B\0\0\0\x0aQQQQQQ"
    execute = b"E\0\0\0\x09\0\0\0\0\0"
    sent = start + query + bind + execute + bind + execute + sync
    counts: Counter[str] = Counter()
    messages = wire.Messages(b"QE", wire.STATEMENTS, counts, typed=False)
    for first in range(0, len(sent), size):
        messages.add(sent[first : first + size])
    assert counts == {wire.STATEMENTS: 3}
