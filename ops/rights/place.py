"""Where an environment is, and the ARNs of what its commands call, as policies write them."""

from __future__ import annotations

from dataclasses import dataclass

from functions.shared import names
from infra.names import PROJECT, archive_prefix, stack_name
from infra.settings import StateSettings
from ops.dlq import queues
from ops.switches import SWITCHES, Schedule


@dataclass(frozen=True)
class Place:
    """Where an environment is, and what AWS or Stripe named in it.

    Parameters
    ----------
    bus
        The name of the event bus.
    key
        The ARN of the customer managed key; empty without `create_kms_key`.
    state_bucket
        The bucket of the Terraform state.
    """

    environment: str
    account_id: str
    region: str
    bus: str
    key: str = ""
    partition: str = "aws"
    state_bucket: str = StateSettings.model_fields["state_bucket"].default

    def name(self, part: str) -> str:
        """Return the name of a resource; `part` may end in .fifo."""
        kind = queues.FIFO if part.endswith(queues.FIFO) else ""
        return f"{PROJECT}-{part.removesuffix(kind)}-{self.environment}{kind}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of the account and the region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    @property
    def source(self) -> str:
        """The event source, which belongs to no account."""
        return f"arn:{self.partition}:events:{self.region}::event-source/{self.bus}"

    @property
    def ledger(self) -> str:
        """The bucket of the ledger."""
        return f"arn:{self.partition}:s3:::{PROJECT}-ledger-{self.environment}-{self.account_id}"

    @property
    def state(self) -> str:
        """The bucket of the Terraform state."""
        return f"arn:{self.partition}:s3:::{self.state_bucket}"

    @property
    def state_objects(self) -> str:
        """The environment's state and its lock."""
        return f"{self.state}/{stack_name(self.environment)}/*"

    @property
    def topic(self) -> str:
        """The topic of the alarms."""
        return self.arn("sns", self.name("alerts"))

    @property
    def dashboard(self) -> str:
        """The dashboard; it belongs to no region."""
        name = f"HuntazeStripeEventBridge-{self.environment}"
        return f"arn:{self.partition}:cloudwatch::{self.account_id}:dashboard/{name}"

    @property
    def table(self) -> str:
        """The idempotency table."""
        return self.arn("dynamodb", f"table/{self.name('idempotency')}")

    @property
    def audit_queue(self) -> str:
        """The queue from which the audit function stores events."""
        return self.arn("sqs", self.name(f"events{queues.FIFO}"))

    @property
    def dead_letter_queues(self) -> list[str]:
        """The dead-letter queues, optional ones included."""
        return [self.arn("sqs", self.name(name)) for name in queues.NAMES]

    @property
    def archives(self) -> list[str]:
        """The archives: one for each event source so far, and that of an earlier release."""
        prefix = archive_prefix(self.environment)
        return [self.arn("events", f"archive/{name}") for name in (prefix, f"{prefix}-*")]

    @property
    def replays(self) -> list[str]:
        """The replays that the commands start."""
        kinds = ("", names.FORCED_REPLAY_PREFIX)
        return [self.arn("events", f"replay/{kind}replay-{self.environment}-*") for kind in kinds]

    @property
    def schedules(self) -> list[str]:
        """The names of the schedules, which are those of their roles, too."""
        return [
            self.name(f"{each.family}-schedule") for each in SWITCHES.values() if isinstance(each, Schedule)
        ]

    def rules(self, *parts: str) -> list[str]:
        """Return rules of the bus."""
        return [self.arn("events", f"rule/{self.bus}/{self.name(part)}") for part in parts]

    def functions(self, *parts: str) -> list[str]:
        """Return functions."""
        return [self.arn("lambda", f"function:{self.name(part)}") for part in parts]

    def secret(self, key: str) -> str:
        """Return a secret; Secrets Manager ends its ARN with six characters that it chooses."""
        name = names.SECRET_NAMES[key].format(environment=self.environment)
        return self.arn("secretsmanager", f"secret:{name}-??????")
