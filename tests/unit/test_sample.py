"""The README's sample of a local run: the lines that say most, of a run that passed."""

from __future__ import annotations

import pytest

from ops.dev.sample import sample

OUTPUT = """\
2 deliveries from the shipped set
start the servers               1.0 s  embedded AWS
synth                           1.0 s
apply dev                      65.9 s  107 resources changed

event type      sent  outcome             p50  p99
charge.failed      1  1 applied            12   12
invoice.paid       1  1 parked             12   12

all                2  1 applied, 1 parked  12   12

1 parked event:
  refused/invoice.paid.json
    evt_1 in huntaze-stripe-billing-dlq-dev
    the API answered 422
Queues: huntaze-stripe-billing-dlq-dev 1 message; 6 empty
passed: 2 of 2 deliveries accounted for
"""
SHOWN = """\
```console
$ make local
2 deliveries from the shipped set
start the servers               1.0 s  embedded AWS
apply dev                      65.9 s  107 resources changed
…
event type      sent  outcome             p50  p99
invoice.paid       1  1 parked             12   12
all                2  1 applied, 1 parked  12   12
…
1 parked event:
  refused/invoice.paid.json
    evt_1 in huntaze-stripe-billing-dlq-dev
    the API answered 422
passed: 2 of 2 deliveries accounted for
```"""


def test_the_sample_has_the_lines_that_say_most() -> None:
    assert sample(OUTPUT) == SHOWN


def test_a_run_that_did_not_pass_gives_no_sample() -> None:
    with pytest.raises(ValueError, match="the run did not pass"):
        sample(OUTPUT.replace("passed: ", "FAILED: "))


def test_wrapped_lines_give_no_sample() -> None:
    with pytest.raises(ValueError, match="the lines are wrapped"):
        sample(OUTPUT.replace("deliveries accounted for", "deliveries\naccounted for"))
