"""What a run does before and after its servers, without starting them."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from ops.console import PlainConsole
from ops.errors import OperatorError
from ops.local import kept
from ops.local.envelopes import default_set
from ops.local.run import MADE_SECONDS_AGO, LocalOptions, _made_by_stripe, run


def test_a_second_run_is_not_kept_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.require_none, "__defaults__", (tmp_path,))
    console = PlainConsole(file=io.StringIO())
    with kept.published({}, {}, {}, tmp_path), pytest.raises(OperatorError, match="already kept"):
        run(LocalOptions(keep=True), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_stripes_list_has_each_sent_event_once_and_one_that_was_never_sent() -> None:
    samples = default_set()
    sent = {sample.envelope["detail"]["id"] for sample in samples}
    listed = _made_by_stripe(samples)
    ids = [event["id"] for event in listed]
    assert len(ids) == len(set(ids)) == len(sent) + 1
    (missing,) = set(ids) - sent
    assert [event["type"] for event in listed if event["id"] == missing] == ["invoice.paid"]
    assert {event["created"] for event in listed} <= set(
        range(int(time.time()) - MADE_SECONDS_AGO - 60, int(time.time()))
    )
