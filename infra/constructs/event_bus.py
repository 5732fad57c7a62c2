"""The partner event bus that Stripe publishes to."""

from collections.abc import Sequence

from cdktf import TerraformResource
from cdktf_cdktf_provider_aws.cloudwatch_event_bus import (
    CloudwatchEventBus,
    CloudwatchEventBusDeadLetterConfig,
)
from constructs import Construct

from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key
from infra.resources.metrics import Metric
from infra.resources.queue import Queue


class PartnerEventBus(Capability):
    """The bus of a partner event source, which has the name of that source.

    It needs no resource policy: creating it lets the partner publish, and nobody else can.

    With a key, events that EventBridge cannot encrypt or decrypt go to the bus's own dead-letter queue, which
    does not use the key.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        event_source_name: str,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        self.name = event_source_name
        self.dead_letter = (
            Queue(
                self,
                "bus_dlq",
                account=account,
                short_name="bus-dlq",
                senders=[account.bus_arn(event_source_name)],
            )
            if key
            else None
        )
        bus = self.add(
            CloudwatchEventBus,
            "",
            name=event_source_name,
            event_source_name=event_source_name,
            description=f"Stripe events of {account.environment}",
            kms_key_identifier=key.arn if key else None,
            dead_letter_config=(
                CloudwatchEventBusDeadLetterConfig(arn=self.dead_letter.arn) if self.dead_letter else None
            ),
            lifecycle=account.kept,
        )
        self.resource = bus
        self.arn = bus.arn
        self.name_reference = bus.name

    def wait_for(self, parts: Sequence[TerraformResource]) -> None:
        """Create the bus after these resources.

        Stripe's events arrive as soon as the bus exists, and an event without a rule is lost. What the
        rules need takes minutes to create, the rules themselves take seconds.
        """
        self.resource.depends_on = [
            f"{part.terraform_resource_type}.{part.friendly_unique_id}" for part in parts
        ]

    def metric_events(self) -> Metric:
        """Events that arrived from the partner."""
        return Metric("AWS/Events", "Events", {"EventSourceName": self.name})
