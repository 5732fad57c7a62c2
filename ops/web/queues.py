"""What waits in the queues now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from functions.dead_letters.queue import DeadLetterQueue
from ops.dlq import queues
from ops.dlq.queues import NamedQueue
from ops.doctor.expected import EVENTS_QUEUE
from ops.environment import aws_errors
from ops.web.site import Site

# Seconds for which the queues' addresses are kept: a deploy may add one.
ADDRESS_SECONDS: Final = 300.0
AT_ONCE: Final = 8


def depths(site: Site) -> Mapping[str, int]:
    """Return how many messages each queue holds, by its short name: the audit queue first.

    Raises
    ------
    OperatorError
        SQS refuses, or a queue does not exist.
    """
    return site.recent("depths", lambda: _depths(site), time.monotonic())


def _depths(site: Site) -> Mapping[str, int]:
    found = site.recent("queues", lambda: _find(site), time.monotonic(), ADDRESS_SECONDS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(NamedQueue.size, found))
    return dict(zip([each.name for each in found], sizes, strict=True))


def _find(site: Site) -> list[NamedQueue]:
    full = queues.full_name(site.environment, EVENTS_QUEUE)
    client = site.environment.client("sqs")
    with aws_errors(f"the queue {full}"):
        url = client.get_queue_url(QueueName=full)["QueueUrl"]
    audit = NamedQueue(EVENTS_QUEUE, DeadLetterQueue(full, url, client))
    return [audit, *queues.find(site.environment, ())]
