"""The stack of one environment: constructs wired in the order in which an event passes them."""

from cdktf import TerraformStack
from constructs import Construct

from functions.pipeline import names, routing
from infra import patterns
from infra.bundle import Bundles
from infra.constructs.account import Account
from infra.constructs.archive import Archive
from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.code import CodeAssets
from infra.constructs.encryption import Key
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.function import Network, Platform
from infra.constructs.handler import Handler
from infra.constructs.idempotency import IdempotencyTable, expiry_seconds
from infra.constructs.ledger import Ledger
from infra.constructs.monitoring import Monitoring, Thresholds
from infra.constructs.outputs import Outputs
from infra.constructs.policy import compact
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.schedule import ScheduledFunction
from infra.constructs.secret import PipelineSecret
from infra.constructs.state import keep_in_bucket
from infra.names import stack_name
from infra.settings import FunctionSettings, Settings


class EnvironmentStack(TerraformStack):
    """Everything from the partner bus to the Huntaze API, for one environment."""

    def __init__(self, scope: Construct, *, settings: Settings, bundles: Bundles) -> None:
        name = stack_name(settings.environment)
        super().__init__(scope, name)
        keep_in_bucket(self, name=name, bucket=settings.state_bucket, region=settings.state_region)
        account = Account(
            self,
            "account",
            environment=settings.environment,
            region=settings.aws_region,
            only_account_id=settings.aws_account_id,
        )
        source = settings.stripe_event_source_name
        lanes = patterns.lanes(source, {family: routing.event_types(family) for family in routing.HANDLERS})
        key = (
            Key(self, "key", account=account, bus=source, archive=account.name("archive"))
            if settings.create_kms_key
            else None
        )
        bus = PartnerEventBus(self, "bus", account=account, event_source_name=source, key=key)
        archive = Archive(
            self, "archive", account=account, bus=bus, retention_days=settings.archive_retention_days, key=key
        )
        table = IdempotencyTable(
            self, "idempotency", account=account, deletion_protection=settings.deletion_protection, key=key
        )
        secret = PipelineSecret(
            self,
            "secret",
            account=account,
            version=settings.secret_version,
            recovery_days=settings.secret_recovery_days,
            asks_stripe=settings.reconcile != names.OFF or settings.order == names.REFETCH,
            key=key,
        )
        ledger = Ledger(
            self,
            "ledger",
            account=account,
            infrequent_access_days=settings.ledger_infrequent_access_days,
            glacier_days=settings.ledger_glacier_days,
            object_lock_days=settings.ledger_object_lock_days,
            deletion_protection=settings.deletion_protection,
            key=key,
        )
        code = CodeAssets(self, "code", bundles=bundles)
        platform = Platform(
            architecture=settings.lambda_architecture,
            runtime=settings.lambda_runtime,
            tracing=settings.lambda_tracing,
            log_retention_days=settings.log_retention_days,
            max_event_age_seconds=settings.max_event_age_seconds,
        )
        shared = {names.ENVIRONMENT: settings.environment, names.SECRET_ID: secret.arn}
        delivery = shared | {
            names.HUNTAZE_API_URL: settings.huntaze_api_url,
            names.LIVEMODE: str(settings.livemode).lower(),
            names.ORDER: settings.order,
            names.STRIPE_READS_PER_SECOND: str(settings.stripe_reads_per_second),
            names.IDEMPOTENCY_TABLE: table.name,
            names.IDEMPOTENCY_EXPIRY_SECONDS: str(expiry_seconds(settings.archive_retention_days)),
        }
        handlers = [
            Handler(
                self,
                family,
                account=account,
                bus=bus,
                pattern=lanes[family],
                code=code["handlers"],
                platform=platform,
                settings=_function_settings(settings, family),
                variables=delivery,
                grants=[*table.grant_read_write(), *secret.grant_read()],
                key=key,
            )
            for family in routing.HANDLERS
        ]
        audit = Audit(
            self,
            "audit",
            account=account,
            bus=bus,
            patterns=lanes,
            code=code["audit"],
            platform=platform,
            settings=settings.audit,
            variables=shared | {names.LEDGER_BUCKET: ledger.name},
            grants=[*ledger.grant_write(), *secret.grant_read()],
            network=_network(settings),
            key=key,
        )
        bus_log = (
            BusLog(
                self,
                "bus_log",
                account=account,
                bus=bus,
                pattern=patterns.everything(source),
                retention_days=settings.log_retention_days,
                key=key,
            )
            if settings.bus_logs
            else None
        )
        scheduled = (
            [
                ScheduledFunction(
                    self,
                    "redrive",
                    account=account,
                    minutes=settings.auto_redrive_minutes,
                    code=code["handlers"],
                    platform=platform,
                    settings=settings.redrive,
                    variables={
                        names.ENVIRONMENT: settings.environment,
                        names.HUNTAZE_API_URL: settings.huntaze_api_url,
                        names.IDEMPOTENCY_TABLE: table.name,
                        names.IDEMPOTENCY_EXPIRY_SECONDS: delivery[names.IDEMPOTENCY_EXPIRY_SECONDS],
                        names.AUTO_REDRIVE_ATTEMPTS: str(settings.auto_redrive_attempts),
                        names.AUTO_REDRIVE_PER_SECOND: str(settings.auto_redrive_per_second),
                        names.HANDLER_SECONDS: str(
                            max(handler.function.timeout_seconds for handler in handlers)
                        ),
                        names.HANDLER_FUNCTIONS: compact(
                            {handler.family: handler.function.name for handler in handlers}
                        ),
                        names.DEAD_LETTER_QUEUE_URLS: compact(
                            {handler.family: handler.dead_letter.url for handler in handlers}
                        ),
                    },
                    grants=[
                        *table.grant_read_write(),
                        *(grant for handler in handlers for grant in handler.grant_redrive()),
                    ],
                    key=key,
                )
            ]
            if settings.auto_redrive
            else []
        )
        if settings.reconcile != names.OFF:
            scheduled.append(
                Reconciliation(
                    self,
                    "reconcile",
                    account=account,
                    minutes=settings.reconcile_minutes,
                    heal=settings.reconcile == names.RECONCILE_HEAL,
                    source=source,
                    code=code["handlers"],
                    platform=platform,
                    settings=settings.reconciliation,
                    variables=shared,
                    table=table,
                    secret=secret,
                    ledger=ledger,
                    handlers=handlers,
                    queue=audit.queue,
                    key=key,
                )
            )
        monitoring = Monitoring(
            self,
            "monitoring",
            account=account,
            bus=bus,
            handlers=handlers,
            audit=audit,
            bus_log=bus_log,
            scheduled=scheduled,
            thresholds=Thresholds(
                audit_backlog_messages=settings.audit_backlog_messages,
                audit_backlog_seconds=settings.audit_backlog_seconds,
                heartbeat_minutes=settings.heartbeat_minutes,
            ),
            emails=settings.alert_emails,
            key=key,
        )
        Outputs(
            self,
            "outputs",
            values={
                "bus_name": (bus.name_reference, "Partner event bus"),
                "bus_arn": (bus.arn, "ARN of the partner event bus"),
                "archive_arn": (archive.arn, "ARN of the archive, the source of a replay"),
                "function_arns": (
                    {function.family: function.arn for function in monitoring.functions},
                    "Functions by family",
                ),
                "rule_arns": (
                    {rule.name: rule.arn for rule in monitoring.rules},
                    "Rules by name, the filters of a replay",
                ),
                "queue_urls": (
                    {queue.name: queue.url for queue in [*monitoring.dead_letters, audit.queue]},
                    "Queues by name",
                ),
                "topic_arn": (monitoring.topic_arn, "SNS topic of the alarms"),
                "dashboard_url": (monitoring.dashboard_url, "CloudWatch dashboard"),
                "idempotency_table": (table.name, "DynamoDB table of the applied events"),
                "ledger_bucket": (ledger.name, "S3 bucket of the audit ledger"),
                "secret_arn": (secret.arn, "Secret that the functions read"),
            },
        )


def _function_settings(settings: Settings, family: str) -> FunctionSettings:
    return {routing.PAYMENTS: settings.payments, routing.BILLING: settings.billing}[family]


def _network(settings: Settings) -> Network | None:
    if not settings.audit_subnet_ids:
        return None
    return Network(settings.audit_subnet_ids, settings.audit_security_group_ids)
