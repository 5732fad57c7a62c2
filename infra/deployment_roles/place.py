"""Where an environment is deployed, and the names of what it consists of, as policies write them."""

from dataclasses import dataclass
from typing import Final

from functions.shared import names
from infra.names import BOUNDARY, DEPLOYER, PROJECT, archive_prefix, database_name, stack_name

_BUS: Final = "aws.partner/stripe.com/*"
# Secrets Manager ends the ARN of a secret with six characters that it chooses.
_SUFFIX: Final = "-??????"


@dataclass(frozen=True)
class Place:
    """An environment in an AWS account.

    Parameters
    ----------
    state_bucket
        The bucket of its Terraform state.
    partition
        `aws`, or another group of regions, such as `aws-cn`.
    """

    account_id: str
    region: str
    environment: str
    state_bucket: str
    partition: str = "aws"

    def role_name(self, part: str) -> str:
        """Return the name of a role for people and workflows: plan, refresh or deploy."""
        return f"{DEPLOYER}-{part}-{self.environment}"

    def role_arn(self, part: str) -> str:
        """Return the ARN of such a role."""
        return self._iam(f"role/{self.role_name(part)}")

    @property
    def boundary_arn(self) -> str:
        """The permissions boundary of every role that the stack creates."""
        return self._iam(f"policy/{BOUNDARY}-{self.environment}")

    @property
    def own(self) -> str:
        """The names of the stack's resources: huntaze-stripe-*-dev."""
        return f"{PROJECT}-*-{self.environment}"

    @property
    def roles(self) -> str:
        """The stack's roles."""
        return self._iam(f"role/{self.own}")

    @property
    def functions(self) -> str:
        """The stack's functions."""
        return self.arn("lambda", f"function:{self.own}")

    @property
    def mappings(self) -> str:
        """Event source mappings, whose ids AWS chooses."""
        return self.arn("lambda", "event-source-mapping:*")

    @property
    def queues(self) -> list[str]:
        """The stack's queues; the name of a FIFO queue ends with its kind."""
        return [self.arn("sqs", self.own), self.arn("sqs", f"{self.own}.fifo")]

    @property
    def table(self) -> str:
        """The idempotency table."""
        return self.arn("dynamodb", f"table/{PROJECT}-idempotency-{self.environment}")

    @property
    def topic(self) -> str:
        """The topic of the alarms."""
        return self.arn("sns", f"{PROJECT}-alerts-{self.environment}")

    @property
    def buses(self) -> str:
        """The buses of Stripe's event sources."""
        return self.arn("events", f"event-bus/{_BUS}")

    @property
    def event_sources(self) -> str:
        """Stripe's event sources, which belong to no account."""
        return f"arn:{self.partition}:events:{self.region}::event-source/{_BUS}"

    @property
    def rules(self) -> str:
        """The stack's rules."""
        return self.arn("events", f"rule/{_BUS}/{self.own}")

    @property
    def archives(self) -> str:
        """The archives, one for each event source so far."""
        return self.arn("events", f"archive/{archive_prefix(self.environment)}-*")

    @property
    def schedules(self) -> str:
        """The schedules of the scheduled functions."""
        return self.arn("scheduler", f"schedule/default/{self.own}")

    @property
    def log_groups(self) -> list[str]:
        """The log groups of the functions and of the bus."""
        names = (f"/aws/lambda/{self.own}", f"/aws/events/{PROJECT}-{self.environment}")
        return [self.arn("logs", f"log-group:{name}") for name in names]

    @property
    def log_streams(self) -> list[str]:
        """The log groups in the form of all actions but those on tags."""
        return [f"{arn}:*" for arn in self.log_groups]

    @property
    def alarms(self) -> str:
        """The alarms."""
        return self.arn("cloudwatch", f"alarm:{self.own}")

    @property
    def dashboard(self) -> str:
        """The dashboard; it belongs to no region."""
        name = f"HuntazeStripeEventBridge-{self.environment}"
        return f"arn:{self.partition}:cloudwatch::{self.account_id}:dashboard/{name}"

    @property
    def ledger(self) -> str:
        """The bucket of the ledger."""
        return self.bucket(f"{PROJECT}-ledger-{self.environment}-{self.account_id}")

    @property
    def catalog(self) -> str:
        """The Glue Data Catalog, which an account has one of in each region."""
        return self.arn("glue", "catalog")

    @property
    def database(self) -> str:
        """The database of the ledger's table."""
        return self.arn("glue", f"database/{database_name(self.environment)}")

    @property
    def database_tables(self) -> str:
        """The tables of that database."""
        return self.arn("glue", f"table/{database_name(self.environment)}/*")

    @property
    def database_functions(self) -> str:
        """The functions of that database: it has none, and would take them with it."""
        return self.arn("glue", f"userDefinedFunction/{database_name(self.environment)}/*")

    @property
    def secrets(self) -> list[str]:
        """The secrets, as they are once they exist."""
        return [f"{name}{_SUFFIX}" for name in self.new_secrets]

    @property
    def new_secrets(self) -> list[str]:
        """The secrets, as they are named when they are created."""
        secrets = (name.format(environment=self.environment) for name in names.SECRET_NAMES.values())
        return [self.arn("secretsmanager", f"secret:{name}") for name in secrets]

    @property
    def keys(self) -> str:
        """KMS keys, whose ids AWS chooses; a condition on their tags says which."""
        return self.arn("kms", "key/*")

    @property
    def alias(self) -> str:
        """The name of the stack's key."""
        return self.arn("kms", f"alias/{PROJECT}-events-{self.environment}")

    @property
    def state(self) -> str:
        """The Terraform state."""
        return f"{self.bucket(self.state_bucket)}/{stack_name(self.environment)}/terraform.tfstate"

    def bucket(self, name: str) -> str:
        """Return the ARN of a bucket."""
        return f"arn:{self.partition}:s3:::{name}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def _iam(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"
