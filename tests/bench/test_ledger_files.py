"""A ledger written as files is the one that the audit function and the compaction write."""

from __future__ import annotations

import gzip
import json

import pytest

from bench import ledger_files, path
from functions.ledger.keys import is_compacted, span

pytestmark = pytest.mark.unit

SENT = 1_790_000_000_000


def test_compacted_objects_hold_the_lines_of_the_batches_in_order() -> None:
    events = path.events(path.TIMED_KIND, 5)
    objects = [ledger_files.ledger_object(event, SENT + 1000 * number) for number, event in enumerate(events)]
    lines = [gzip.decompress(each.body) for each in objects]
    assert [json.loads(line)["envelope"]["id"] for line in lines] == [event["id"] for event in events]
    assert not any(is_compacted(each.key) for each in objects)
    (compacted,) = ledger_files.compacted(objects)
    assert gzip.decompress(compacted.body) == b"".join(lines)
    assert is_compacted(compacted.key)
    first, last, whole = span(objects[0].key), span(objects[-1].key), span(compacted.key)
    assert first
    assert last
    assert whole
    assert (whole.oldest, whole.newest) == (first.oldest, last.newest)
