"""The stack of one environment: constructs wired in the order in which an event passes them."""

from collections.abc import Mapping
from typing import Final

from cdktf import TerraformStack
from constructs import Construct

from functions.pipeline import routing_table
from functions.shared import names
from infra import contents, functions, patterns
from infra.bundle import Bundles
from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.handler import Handler
from infra.constructs.inventory import Inventory
from infra.constructs.ledger_table import LedgerTable
from infra.constructs.monitoring import Monitoring, Thresholds
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.redrive import Redrive
from infra.constructs.schedule import ScheduledFunction
from infra.forgotten import EARLIER_ARCHIVES, EARLIER_QUEUES, FORMER_KEY
from infra.foundation import Foundation
from infra.names import stack_name
from infra.resources.outputs import Outputs
from infra.resources.state_backend import keep_in_bucket
from infra.settings import Settings

# A day that one run has no time for is done within hours; a run that finds nothing lists sixteen folders.
_COMPACTION_MINUTES: Final = 60


class EnvironmentStack(TerraformStack):
    """Everything from the partner bus to the Huntaze API, for one environment.

    `forgotten` are the addresses of resources that it no longer manages and must not delete; see
    `infra.forgotten`.
    """

    def __init__(self, scope: Construct, *, settings: Settings, bundles: Bundles) -> None:
        name = stack_name(settings.environment)
        super().__init__(scope, name)
        keep_in_bucket(self, name=name, bucket=settings.state_bucket, region=settings.state_region)
        routed = {family: routing_table.event_types(family) for family in names.HANDLERS}
        matching = patterns.by_message_group(settings.stripe_event_source_name, routed)
        base = Foundation.make(self, settings, bundles)
        inventory = _inventory(self, base, matching)
        fed = [*(part for handler in inventory.handlers for part in handler.parts), *inventory.audit.parts]
        base.bus.wait_for(fed)
        if settings.athena_table:
            LedgerTable(self, "ledger_table", account=base.account, ledger=base.ledger)
        monitoring = Monitoring(
            self,
            "monitoring",
            inventory=inventory,
            thresholds=Thresholds(
                audit_backlog_messages=settings.audit_backlog_messages,
                audit_backlog_seconds=settings.audit_backlog_seconds,
                heartbeat_minutes=settings.heartbeat_minutes,
            ),
            emails=settings.alert_addresses,
            repository_url=settings.repository_url,
        )
        _outputs(self, base, inventory, monitoring)
        _contents(self, inventory, bundles)
        former_key = () if settings.create_kms_key else FORMER_KEY
        self.forgotten = (*EARLIER_ARCHIVES, *EARLIER_QUEUES, *former_key)


def _inventory(scope: Construct, base: Foundation, matching: Mapping[str, str]) -> Inventory:
    """Make rules, functions and queues."""
    settings, account, bus = base.settings, base.account, base.bus
    handlers = [
        Handler(
            scope,
            family,
            account=account,
            bus=bus,
            pattern=matching[family],
            props=functions.handler(base, family),
        )
        for family in names.HANDLERS
    ]
    audit = Audit(
        scope,
        "audit",
        account=account,
        bus=bus,
        patterns=matching,
        props=functions.audit(base),
        high_throughput=settings.audit_high_throughput,
    )
    bus_log = redrive = reconciliation = compaction = None
    if settings.bus_logs:
        bus_log = BusLog(
            scope,
            "bus_log",
            account=account,
            bus=bus,
            pattern=patterns.everything(settings.stripe_event_source_name),
            retention_days=settings.log_retention_days,
            key=base.platform.key,
        )
    if settings.auto_redrive:
        redrive = Redrive(
            scope,
            "redrive",
            account=account,
            minutes=settings.auto_redrive_minutes,
            props=functions.redrive(base, handlers, audit),
        )
    if settings.reconcile != names.OFF:
        reconciliation = Reconciliation(
            scope,
            "reconcile",
            account=account,
            minutes=settings.reconcile_minutes,
            props=functions.reconciliation(base, handlers, audit),
        )
    if settings.ledger_compaction:
        compaction = ScheduledFunction(
            scope, "compact", account=account, minutes=_COMPACTION_MINUTES, props=functions.compaction(base)
        )
    return Inventory(account, bus, handlers, audit, bus_log, redrive, reconciliation, compaction)


def _outputs(scope: Construct, base: Foundation, inventory: Inventory, monitoring: Monitoring) -> None:
    deployed = {function.family: function.arn for function in inventory.functions}
    rules = {rule.name: rule.arn for rule in inventory.rules.values()}
    queues = {queue.name: queue.url for queue in [*inventory.dead_letters, inventory.audit.queue]}
    Outputs(
        scope,
        "outputs",
        values={
            "bus_name": (base.bus.name_reference, "Partner event bus"),
            "bus_arn": (base.bus.arn, "ARN of the partner event bus"),
            "archive_arn": (base.archive.arn, "ARN of the archive, the source of a replay"),
            "function_arns": (deployed, "Functions by family"),
            "rule_arns": (rules, "Rules by name, the filters of a replay"),
            "queue_urls": (queues, "Queues by name"),
            "topic_arn": (monitoring.topic_arn, "SNS topic of the alarms"),
            "dashboard_url": (monitoring.dashboard_url, "CloudWatch dashboard"),
            "idempotency_table": (base.table.name, "DynamoDB table of the applied events"),
            "ledger_bucket": (base.ledger.name, "S3 bucket of the audit ledger"),
            "secret_arns": (base.secrets.ids(*names.SECRET_KEYS), "Secrets that the functions read"),
        },
    )


def _contents(scope: Construct, inventory: Inventory, bundles: Bundles) -> None:
    """Write what the functions run into the state, for the report of the next plan."""
    Outputs(
        scope,
        "contents",
        values={
            contents.CODE: (contents.code(bundles), "Packages and modules that the functions run"),
            contents.ROUTING: (contents.routing(), "What happens to each event type"),
        },
        after=[part for function in inventory.functions for part in function.parts],
    )
