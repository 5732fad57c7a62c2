"""One family of events from the bus to its handler: rule, function, dead-letter queue."""

from cdktf import TerraformResource
from constructs import Construct

from functions.shared import names
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.rules import EventRule
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.function import FunctionProps, PipelineFunction
from infra.resources.queue import Queue


class Handler(Capability):
    """A rule that sends a family's events to its function.

    Both kinds of failures go to one dead-letter queue: events that EventBridge could not deliver to the
    function, and events that the function could not process.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        pattern: str,
        props: FunctionProps,
    ) -> None:
        super().__init__(scope, id_)
        self.family = family = id_
        rule_name = account.name(family)
        self.dead_letter = Queue(
            self,
            f"{family}_dlq",
            account=account,
            short_name=f"{family}-dlq",
            senders=[account.rule_arn(bus.name, rule_name)],
        )
        self.function = PipelineFunction(
            self,
            f"{family}_function",
            account=account,
            family=family,
            props=props.add({names.DEAD_LETTER_QUEUE_URL: self.dead_letter.url}),
            on_failure=self.dead_letter,
        )
        self.rule = EventRule(
            self,
            f"{family}_rule",
            name=rule_name,
            description=f"Stripe events for the {family} function",
            bus=bus,
            pattern=pattern,
            dead_letter=self.dead_letter,
        )
        self.rule.invoke(self.function)

    @property
    def parts(self) -> list[TerraformResource]:
        """What must exist before the rule's first event."""
        return [*self.dead_letter.parts, *self.function.parts]

    def grant_invoke(self) -> list[Statement]:
        """Statements for a role that invokes the function."""
        return [Statement(f"Invoke{self.family.title()}", ["lambda:InvokeFunction"], [self.function.arn])]

    def grant_redrive(self) -> list[Statement]:
        """Statements for a role that redrives the dead-letter queue to the function."""
        return [*self.grant_invoke(), *self.dead_letter.grant_consume(sid=f"Consume{self.family.title()}")]
