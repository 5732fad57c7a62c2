"""The audit: every event enters the FIFO queue once, in the message group of its family, for the ledger."""

from collections.abc import Mapping
from typing import Final

from cdktf import TerraformResource
from constructs import Construct

from functions.shared import names
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.rules import EventRule
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.function import FunctionProps, PipelineFunction
from infra.resources.metrics import MINUTE, Metric
from infra.resources.queue import Queue, QueueProps, queue_name

# How long the ledger may be unavailable before SQS moves an event to the dead-letter queue. Until then events
# wait in the queue, and a shorter outage needs no operator.
_OUTAGE_SECONDS: Final = 12 * 3600
# Failed receives in a row that raise an alarm.
_ALARMING_RECEIVES: Final = 5
# SQS's own maximum ("Using dead-letter queues in Amazon SQS").
_MOST_RECEIVES: Final = 1000
# A message stays hidden for six timeouts of the function, so that a throttled batch is not received a second
# time (AWS Lambda, "Creating and configuring an Amazon SQS event source mapping").
_VISIBILITY_TIMEOUTS: Final = 6
# With less, an outage would need more receives than SQS allows.
_LEAST_VISIBILITY_SECONDS: Final = 60
# The shortest time over which failed batches are counted.
_SHORTEST_PERIOD: Final = 5 * MINUTE


class Audit(Capability):
    """One rule per message group, the FIFO queue, its dead-letter queue, and the function that reads it.

    A FIFO target sends to one static message group. With one group all events would wait for each other, so
    each family has its own.

    Parameters
    ----------
    patterns
        Event patterns by message group; each event matches exactly one.
    high_throughput
        Whether each message group has SQS's 300 messages a second for itself.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        patterns: Mapping[str, str],
        props: FunctionProps,
        high_throughput: bool,
    ) -> None:
        super().__init__(scope, id_)
        self._visibility_seconds = max(
            _LEAST_VISIBILITY_SECONDS, _VISIBILITY_TIMEOUTS * props.settings.timeout_seconds
        )
        rule_names = {
            group: account.name("audit" if group == names.OTHER_MESSAGE_GROUP else f"audit-{group}")
            for group in patterns
        }
        self.dead_letter = Queue(
            self,
            "audit_dlq",
            account=account,
            short_name="audit-dlq",
            props=QueueProps(fifo=True, redriven_from=[queue_name(account, "events", fifo=True)]),
        )
        self.queue = Queue(
            self,
            "events_queue",
            account=account,
            short_name="events",
            senders=[account.rule_arn(bus.name, rule_name) for rule_name in rule_names.values()],
            key=props.platform.key,
            props=QueueProps(
                fifo=True,
                visibility_timeout_seconds=self._visibility_seconds,
                dead_letter=self.dead_letter,
                max_receives=min(_MOST_RECEIVES, -(-_OUTAGE_SECONDS // self._visibility_seconds) + 1),
                throughput_per_group=high_throughput,
            ),
        )
        self.rule_dead_letters: dict[str, Queue] = {}
        self.rules: dict[str, EventRule] = {}
        for group, rule_name in rule_names.items():
            self.rule_dead_letters[group] = Queue(
                self,
                f"audit_{group}_dlq",
                account=account,
                short_name=f"audit-{group}-dlq",
                senders=[account.rule_arn(bus.name, rule_name)],
            )
            self.rules[group] = EventRule(
                self,
                f"audit_{group}_rule",
                name=rule_name,
                description=f"Audit lane of {group} events",
                bus=bus,
                pattern=patterns[group],
                dead_letter=self.rule_dead_letters[group],
            )
            self.rules[group].enqueue(self.queue, group=group)
        self.function = PipelineFunction(
            self,
            "audit_function",
            account=account,
            family="audit",
            props=props.add(
                {names.DEAD_LETTER_QUEUE_URL: self.dead_letter.url},
                [
                    *self.queue.grant_consume(mapped=True),
                    # The function itself parks what can never be stored.
                    *self.dead_letter.grant_send(sid="ParkMessages"),
                ],
            ),
            # Failed messages return to the FIFO queue. If somebody invokes the function asynchronously, its
            # failures need a standard queue, which the FIFO queue's dead-letter queue is not.
            on_failure=self.rule_dead_letters[names.OTHER_MESSAGE_GROUP],
        )
        self.function.read_from(self.queue, concurrency=len(patterns))

    @property
    def dead_letters(self) -> list[Queue]:
        """The dead-letter queues of the audit."""
        return [*self.rule_dead_letters.values(), self.dead_letter]

    @property
    def parts(self) -> list[TerraformResource]:
        """What must exist before the rules' first event."""
        queues = [self.queue, *self.dead_letters]
        return [*self.function.parts, *(part for queue in queues for part in queue.parts)]

    def grant_redrive(self) -> list[Statement]:
        """Statements for a role that redrives the dead-letter queues to the FIFO queue."""
        consume = (
            grant
            for number, queue in enumerate(self.dead_letters)
            for grant in queue.grant_consume(sid=f"ConsumeAudit{number}")
        )
        return [*consume, *self.queue.grant_send(sid="SendToAudit")]

    def metric_failed_batches(self) -> Metric:
        """Batches that failed, over the time of several receives of one message.

        A message group has one batch in flight, and a failed one stays hidden for the visibility timeout.
        So it fails at most once in that time, and a shorter period could not distinguish an outage from
        one failure.
        """
        seconds = max(_SHORTEST_PERIOD, _ALARMING_RECEIVES * self._visibility_seconds)
        return self.function.metric_errors().over(period=-(-seconds // MINUTE) * MINUTE)
