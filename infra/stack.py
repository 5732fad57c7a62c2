"""The stack of one environment: constructs wired in the order in which an event passes them."""

from collections.abc import Sequence

from cdktf import TerraformStack
from constructs import Construct

from functions.pipeline import routing_table
from functions.shared import names
from infra import patterns
from infra.bundle import Bundles
from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.handler import Handler
from infra.constructs.monitoring import Monitoring, Thresholds
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.schedule import PRECISION_SECONDS, ScheduledFunction
from infra.forgotten import EARLIER_ARCHIVES, EARLIER_QUEUES, FORMER_KEY
from infra.foundation import Foundation
from infra.names import stack_name
from infra.resources.function import Network
from infra.resources.outputs import Outputs
from infra.resources.policy import compact
from infra.resources.state_backend import keep_in_bucket
from infra.settings import FunctionSettings, Settings


class EnvironmentStack(TerraformStack):
    """Everything from the partner bus to the Huntaze API, for one environment.

    `forgotten` are the addresses of what it once had and must not delete; see `infra.forgotten`.
    """

    def __init__(self, scope: Construct, *, settings: Settings, bundles: Bundles) -> None:
        name = stack_name(settings.environment)
        super().__init__(scope, name)
        keep_in_bucket(self, name=name, bucket=settings.state_bucket, region=settings.state_region)
        lanes = patterns.lanes(
            settings.stripe_event_source_name,
            {family: routing_table.event_types(family) for family in names.HANDLERS},
        )
        base = Foundation.lay(self, settings, bundles)
        handlers = [_handler(self, base, family, lanes[family]) for family in names.HANDLERS]
        audit = _audit(self, base, lanes)
        fed = [*(part for handler in handlers for part in handler.parts), *audit.parts]
        base.bus.wait_for(fed)
        bus_log = _bus_log(self, base) if settings.bus_logs else None
        scheduled: list[ScheduledFunction] = []
        if settings.auto_redrive:
            scheduled.append(_redrive(self, base, handlers, audit))
        if settings.reconcile != names.OFF:
            scheduled.append(_reconciliation(self, base, handlers, audit))
        monitoring = _monitoring(self, base, handlers, audit, bus_log, scheduled)
        _outputs(self, base, audit, monitoring)
        former_key = () if settings.create_kms_key else FORMER_KEY
        self.forgotten = (*EARLIER_ARCHIVES, *EARLIER_QUEUES, *former_key)


def _handler(scope: Construct, base: Foundation, family: str, pattern: str) -> Handler:
    settings = base.settings
    return Handler(
        scope,
        family,
        account=base.account,
        bus=base.bus,
        pattern=pattern,
        code=base.code["handlers"],
        platform=base.platform,
        settings=_function_settings(settings, family),
        variables={
            **base.variables_of(*base.handlers_secrets[family]),
            **base.memory_variables,
            names.HUNTAZE_API_URL: settings.huntaze_api_url,
            names.LIVEMODE: str(settings.livemode).lower(),
            names.ORDER: settings.order,
            names.STRIPE_READS_PER_SECOND: str(settings.stripe_reads_per_second),
        },
        grants=[
            *base.table.grant_read_write(),
            *base.secrets.grant_read(*base.handlers_secrets[family]),
        ],
        key=base.key,
    )


def _audit(scope: Construct, base: Foundation, lanes: dict[str, str]) -> Audit:
    return Audit(
        scope,
        "audit",
        account=base.account,
        bus=base.bus,
        patterns=lanes,
        code=base.code["audit"],
        platform=base.platform,
        settings=base.settings.audit,
        variables={**base.variables_of(names.DATABASE_URL), names.LEDGER_BUCKET: base.ledger.name},
        grants=[*base.ledger.grant_write(), *base.secrets.grant_read(names.DATABASE_URL)],
        network=_network(base.settings),
        high_throughput=base.settings.audit_high_throughput,
        key=base.key,
    )


def _bus_log(scope: Construct, base: Foundation) -> BusLog:
    return BusLog(
        scope,
        "bus_log",
        account=base.account,
        bus=base.bus,
        pattern=patterns.everything(base.settings.stripe_event_source_name),
        retention_days=base.settings.log_retention_days,
        key=base.key,
    )


def _redrive(
    scope: Construct, base: Foundation, handlers: Sequence[Handler], audit: Audit
) -> ScheduledFunction:
    settings = base.settings
    handler_seconds = max(each.function.timeout_seconds for each in handlers)
    # A run works until the next one begins, which Scheduler may start late, and then ends what it began.
    seconds = (
        settings.auto_redrive_minutes * 60
        + PRECISION_SECONDS
        + handler_seconds
        + names.REDRIVE_RESERVE_SECONDS
    )
    queues = {each.family: each.dead_letter for each in handlers}
    queues |= {each.short_name: each for each in audit.dead_letters}
    return ScheduledFunction(
        scope,
        "redrive",
        account=base.account,
        minutes=settings.auto_redrive_minutes,
        code=base.code["handlers"],
        platform=base.platform,
        settings=settings.redrive.lasting(seconds),
        variables={
            **base.memory_variables,
            names.ENVIRONMENT: settings.environment,
            names.HUNTAZE_API_URL: settings.huntaze_api_url,
            names.AUTO_REDRIVE_ATTEMPTS: str(settings.auto_redrive_attempts),
            names.AUTO_REDRIVE_PER_SECOND: str(settings.auto_redrive_per_second),
            names.HANDLER_SECONDS: str(handler_seconds),
            names.HANDLER_FUNCTIONS: compact({each.family: each.function.name for each in handlers}),
            names.DEAD_LETTER_QUEUE_URLS: compact({name: queue.url for name, queue in queues.items()}),
            names.EVENTS_QUEUE_URL: audit.queue.url,
        },
        grants=[
            *base.table.grant_redrive_run(),
            *(grant for handler in handlers for grant in handler.grant_redrive()),
            *audit.grant_redrive(),
        ],
        key=base.key,
    )


def _reconciliation(
    scope: Construct, base: Foundation, handlers: Sequence[Handler], audit: Audit
) -> Reconciliation:
    settings = base.settings
    return Reconciliation(
        scope,
        "reconcile",
        account=base.account,
        minutes=settings.reconcile_minutes,
        heal=settings.reconcile == names.RECONCILE_HEAL,
        begin=settings.reconcile_from_seconds,
        handled_within=settings.handled_within_seconds,
        source=settings.stripe_event_source_name,
        code=base.code["handlers"],
        platform=base.platform,
        settings=settings.reconciliation,
        variables={
            **base.variables_of(names.STRIPE_SECRET_KEY),
            names.LIVEMODE: str(settings.livemode).lower(),
        },
        table=base.table,
        secrets=base.secrets,
        ledger=base.ledger,
        handlers=handlers,
        queue=audit.queue,
        key=base.key,
    )


def _monitoring(
    scope: Construct,
    base: Foundation,
    handlers: Sequence[Handler],
    audit: Audit,
    bus_log: BusLog | None,
    scheduled: Sequence[ScheduledFunction],
) -> Monitoring:
    settings = base.settings
    return Monitoring(
        scope,
        "monitoring",
        account=base.account,
        bus=base.bus,
        handlers=handlers,
        audit=audit,
        bus_log=bus_log,
        scheduled=scheduled,
        thresholds=Thresholds(
            audit_backlog_messages=settings.audit_backlog_messages,
            audit_backlog_seconds=settings.audit_backlog_seconds,
            heartbeat_minutes=settings.heartbeat_minutes,
        ),
        emails=settings.alert_addresses,
        repository_url=settings.repository_url,
    )


def _outputs(scope: Construct, base: Foundation, audit: Audit, monitoring: Monitoring) -> None:
    functions = {function.family: function.arn for function in monitoring.functions}
    rules = {rule.name: rule.arn for rule in monitoring.rules}
    queues = {queue.name: queue.url for queue in [*monitoring.dead_letters, audit.queue]}
    Outputs(
        scope,
        "outputs",
        values={
            "bus_name": (base.bus.name_reference, "Partner event bus"),
            "bus_arn": (base.bus.arn, "ARN of the partner event bus"),
            "archive_arn": (base.archive.arn, "ARN of the archive, the source of a replay"),
            "function_arns": (functions, "Functions by family"),
            "rule_arns": (rules, "Rules by name, the filters of a replay"),
            "queue_urls": (queues, "Queues by name"),
            "topic_arn": (monitoring.topic_arn, "SNS topic of the alarms"),
            "dashboard_url": (monitoring.dashboard_url, "CloudWatch dashboard"),
            "idempotency_table": (base.table.name, "DynamoDB table of the applied events"),
            "ledger_bucket": (base.ledger.name, "S3 bucket of the audit ledger"),
            "secret_arns": (base.secrets.ids(*names.SECRET_KEYS), "Secrets that the functions read"),
        },
    )


def _function_settings(settings: Settings, family: str) -> FunctionSettings:
    return {names.PAYMENTS: settings.payments, names.BILLING: settings.billing}[family]


def _network(settings: Settings) -> Network | None:
    if not settings.audit_subnet_ids:
        return None
    return Network(settings.audit_subnet_ids, settings.audit_security_group_ids)
