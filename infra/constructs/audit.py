"""The audit: every event enters the FIFO queue once, in its family's lane, and goes to the ledger."""

from collections.abc import Mapping, Sequence
from typing import Final

from cdktf import TerraformResource
from constructs import Construct

from functions.shared import names
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.rules import EventRule
from infra.patterns import OTHER
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.function import Code, Network, PipelineFunction, Platform
from infra.resources.key import Key
from infra.resources.metrics import MINUTE, Metric
from infra.resources.policy import Statement
from infra.resources.queue import Queue, queue_name
from infra.settings import FunctionSettings

# How long the ledger may be away until SQS moves an event to the dead-letter queue. A shorter outage needs
# nobody: its events wait in the queue.
_OUTAGE_SECONDS: Final = 12 * 3600
# Receives that fail in a row until they are an alarm.
_ALARMING_RECEIVES: Final = 5
# SQS's own maximum ("Using dead-letter queues in Amazon SQS").
_MOST_RECEIVES: Final = 1000
# AWS Lambda's guide for SQS: a message stays hidden for six time-outs of the function, so that a
# throttled batch is not handed out a second time.
_VISIBILITY_TIMEOUTS: Final = 6
# With less an outage would use up SQS's most receives.
_LEAST_VISIBILITY_SECONDS: Final = 60
# The shortest time over which failed batches are counted.
_SHORTEST_PERIOD: Final = 5 * MINUTE


class Audit(Capability):
    """One rule per lane, the FIFO queue, its dead-letter queue, and the function that reads it.

    A FIFO target has one static message group. One group would make all events wait for each
    other, so each family has its own; the patterns share no event type.

    Parameters
    ----------
    patterns
        Lane to event pattern, disjoint and together complete.
    high_throughput
        Whether each lane has SQS's 300 messages a second for itself.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        patterns: Mapping[str, str],
        code: Code,
        platform: Platform,
        settings: FunctionSettings,
        variables: Mapping[str, str],
        grants: Sequence[Statement],
        network: Network | None,
        high_throughput: bool,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        self._visibility_seconds = max(
            _LEAST_VISIBILITY_SECONDS, _VISIBILITY_TIMEOUTS * settings.timeout_seconds
        )
        rule_names = {lane: account.name("audit" if lane == OTHER else f"audit-{lane}") for lane in patterns}
        self.dead_letter = Queue(
            self,
            "audit_dlq",
            account=account,
            short_name="audit-dlq",
            fifo=True,
            redriven_from=[queue_name(account, "events", fifo=True)],
        )
        self.queue = Queue(
            self,
            "events_queue",
            account=account,
            short_name="events",
            fifo=True,
            senders=[account.rule_arn(bus.name, rule_name) for rule_name in rule_names.values()],
            visibility_timeout_seconds=self._visibility_seconds,
            dead_letter=self.dead_letter,
            max_receives=min(_MOST_RECEIVES, -(-_OUTAGE_SECONDS // self._visibility_seconds) + 1),
            throughput_per_group=high_throughput,
            key=key,
        )
        self.lane_dead_letters: dict[str, Queue] = {}
        self.rules: dict[str, EventRule] = {}
        for lane, rule_name in rule_names.items():
            self.lane_dead_letters[lane] = Queue(
                self,
                f"audit_{lane}_dlq",
                account=account,
                short_name=f"audit-{lane}-dlq",
                senders=[account.rule_arn(bus.name, rule_name)],
            )
            self.rules[lane] = EventRule(
                self,
                f"audit_{lane}_rule",
                account=account,
                name=rule_name,
                description=f"Audit lane of {lane} events",
                bus=bus,
                pattern=patterns[lane],
                dead_letter=self.lane_dead_letters[lane],
            )
            self.rules[lane].enqueue(self.queue, group=lane)
        self.function = PipelineFunction(
            self,
            "audit_function",
            account=account,
            family="audit",
            code=code,
            platform=platform,
            settings=settings,
            variables={**variables, names.DEAD_LETTER_QUEUE_URL: self.dead_letter.url},
            grants=[
                *grants,
                *self.queue.grant_consume(mapped=True),
                # What can never be stored, it parks itself.
                *self.dead_letter.grant_send(sid="ParkMessages"),
            ],
            # The queue invokes it and takes failures back. Should somebody invoke it asynchronously,
            # its failures need a standard queue, which the queue's own dead-letter queue is not.
            on_failure=self.lane_dead_letters[OTHER],
            network=network,
            key=key,
        )
        self.function.read_from(self.queue, concurrency=len(patterns))

    @property
    def dead_letters(self) -> list[Queue]:
        """The queues in which an event of the audit can end."""
        return [*self.lane_dead_letters.values(), self.dead_letter]

    @property
    def parts(self) -> list[TerraformResource]:
        """What must be there before the rules' first event."""
        queues = [self.queue, *self.dead_letters]
        return [*self.function.parts, *(part for queue in queues for part in queue.parts)]

    def grant_redrive(self) -> list[Statement]:
        """Statements for a role that puts events of the dead-letter queues back into the queue."""
        consume = (
            grant
            for number, queue in enumerate(self.dead_letters)
            for grant in queue.grant_consume(sid=f"ConsumeAudit{number}")
        )
        return [*consume, *self.queue.grant_send(sid="SendToAudit")]

    def metric_failed_batches(self) -> Metric:
        """Batches that failed in the time of so many receives of a message that they are no accident.

        A lane has one batch in flight, and one that failed stays hidden for the visibility timeout, so a
        lane fails no more often than that, and in a shorter time too seldom to tell an outage from a blip.
        """
        seconds = max(_SHORTEST_PERIOD, _ALARMING_RECEIVES * self._visibility_seconds)
        return self.function.metric_errors().over(period=-(-seconds // MINUTE) * MINUTE)
