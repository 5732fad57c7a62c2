"""Fuzz one handler, or the audit function: `python -m ops.chaos.fuzz payments --examples N --seed S`.

Runs in a function's environment. Writes JSON lines to standard output: `{"done": N}` as progress, and at the
end the count of each outcome and, if a promise was broken, the smallest envelope that breaks it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections import Counter
from typing import Any, Final

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from functions.pipeline.routing_table import event_types
from functions.shared import names
from ops.chaos.fuzz.audit import AUDIT, SENDABLE, FuzzedAudit
from ops.chaos.fuzz.envelopes import API_KEY, PERSON, anything, samples
from ops.chaos.fuzz.target import UNREADABLE, Broken, FuzzedHandler
from ops.local.clients import Aws, Credentials
from ops.local.fresh_ids import FreshIds
from ops.reference.huntaze import Fault, ReferenceApi

PROGRESS_EVERY: Final = 50
# How often the dead-letter queue is emptied; nothing reads it.
PURGE_EVERY: Final = 500
# The share of answers in which the API repeats planted data.
ECHO_SHARE: Final = 0.05


def main() -> None:
    """Fuzz and write the results."""
    options = _options()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    standard_error = sys.stderr
    with ReferenceApi(API_KEY) as api:
        api.fail(
            Fault(status=400, body=" ".join(PERSON) + API_KEY, probability=ECHO_SHARE, seed=options.seed)
        )
        os.environ |= {names.HUNTAZE_API_URL: api.url, names.HUNTAZE_API_KEY: API_KEY}
        queue = os.environ[names.DEAD_LETTER_QUEUE_URL]
        sqs = Aws(
            os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"], Credentials.of(os.environ)
        ).client("sqs")
        audited = options.handler == AUDIT
        target = (
            FuzzedAudit(api, os.environ[names.DATABASE_URL])
            if audited
            else FuzzedHandler(options.handler, api)
        )
        outcomes: Counter[str] = Counter()
        problem: dict[str, str] = {}

        def write(**line: Any) -> None:
            print(json.dumps(line), file=results, flush=True)

        def attempt(envelope: Any) -> None:
            number = outcomes.total()
            fresh = FreshIds(f"fuzz {options.handler} {number}")
            try:
                if audited and isinstance(envelope, str) and SENDABLE.fullmatch(envelope):
                    sent = envelope  # a message may be any text, JSON or not
                else:
                    sent = json.dumps(fresh.rewritten(envelope))
            except RecursionError:
                outcomes[UNREADABLE] += 1
                return
            try:
                outcomes[target.try_envelope(sent)] += 1
            except Broken as broken:
                problem.update(what=str(broken), envelope=sent)
                raise
            if number % PROGRESS_EVERY == 0:
                write(done=number)
            if number % PURGE_EVERY == 0:
                sqs.purge_queue(QueueUrl=queue)

        handlers = names.HANDLERS if audited else (options.handler,)
        types = tuple(itertools.chain.from_iterable(event_types(handler) for handler in handlers))
        check = hypothesis.given(anything(samples(types)))(attempt)
        try:
            hypothesis.seed(options.seed)(_settings(options.examples)(check))()
        except Exception:
            # hypothesis may wrap it: a shrunk envelope has other ids and may not fail again.
            if not problem:
                sys.stderr = standard_error  # until now the handler's output went to memory
                raise
            write(outcomes=dict(outcomes), **problem)
        else:
            write(outcomes=dict(outcomes))


def _settings(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.chaos.fuzz", description=__doc__)
    parser.add_argument("handler", choices=(*names.HANDLERS, AUDIT))
    parser.add_argument("--examples", type=int, required=True, help="the number of envelopes")
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same envelopes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
