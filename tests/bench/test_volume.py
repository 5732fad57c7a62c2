"""`python -m bench.volume` measures real commands, and a compaction leaves one object to read."""

from __future__ import annotations

import re
import subprocess
import sys

from ops import ROOT

EVENTS = 20


def calls(row: str) -> dict[str, int]:
    return {name: int(count) for count, name in re.findall(r"(\d+) ([A-Za-z]\w+)", row.rsplit("|", 2)[1])}


def test_a_day_is_read_object_by_object_before_its_compaction_and_at_once_after_it() -> None:
    command = [sys.executable, "-m", "bench.volume", "--count", str(EVENTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("| `")}
    for work in ("`reconcile` of the day", "`replay start`'s forecast of the day"):
        assert calls(rows[f"{work}, before"])["GetObject"] == EVENTS
        assert calls(rows[f"{work}, after"])["GetObject"] == 1
    assert calls(rows["`dlq list`"])["ReceiveMessage"] > EVENTS / 10
    said = " ".join(done.stderr.split())
    assert said.count(f"{EVENTS} events compared, 0 missing, 0 reached no handler") == 2
    assert "ended with" not in done.stderr
