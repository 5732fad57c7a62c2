"""What the functions of a stack share: account, bus, archive, table, ledger, secrets, code and platform."""

from dataclasses import dataclass

from constructs import Construct

from infra.bundle import Bundles
from infra.constructs.archive import Archive
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.idempotency import IdempotencyTable
from infra.constructs.ledger import Ledger
from infra.constructs.secret import PipelineSecrets
from infra.names import BOUNDARY
from infra.resources.account import Account
from infra.resources.code import CodeAssets
from infra.resources.function import Platform
from infra.resources.key import Key
from infra.settings import Settings


@dataclass(frozen=True)
class Foundation:
    """The parts that more than one function needs."""

    settings: Settings
    account: Account
    bus: PartnerEventBus
    archive: Archive
    table: IdempotencyTable
    secrets: PipelineSecrets
    ledger: Ledger
    code: CodeAssets
    platform: Platform

    @classmethod
    def make(cls, scope: Construct, settings: Settings, bundles: Bundles) -> "Foundation":
        """Make the parts in the stack `scope`."""
        account = Account(
            scope,
            "account",
            environment=settings.environment,
            region=settings.aws_region,
            only_account_id=settings.aws_account_id,
            boundary=BOUNDARY if settings.deployed_by_github else "",
            protected=settings.deletion_protection,
        )
        source = settings.stripe_event_source_name
        key = Key(scope, "key", account=account) if settings.create_kms_key else None
        bus = PartnerEventBus(scope, "bus", account=account, event_source_name=source, key=key)
        return cls(
            settings=settings,
            account=account,
            bus=bus,
            archive=Archive(
                scope,
                "events_archive",
                account=account,
                bus=bus,
                retention_days=settings.archive_retention_days,
                key=key,
            ),
            table=IdempotencyTable(scope, "idempotency", account=account, key=key),
            secrets=PipelineSecrets(
                scope,
                "secret",
                account=account,
                version=settings.secret_version,
                recovery_days=settings.secret_recovery_days,
                reads_stripe=settings.reads_stripe,
                key=key,
            ),
            ledger=Ledger(
                scope,
                "ledger",
                account=account,
                infrequent_access_days=settings.ledger_infrequent_access_days,
                glacier_days=settings.ledger_glacier_days,
                expiration_days=settings.ledger_expiration_days,
                object_lock_days=settings.ledger_object_lock_days,
                key=key,
            ),
            code=CodeAssets(scope, "code", bundles=bundles),
            platform=Platform(
                architecture=settings.lambda_architecture,
                runtime=settings.lambda_runtime,
                tracing=settings.lambda_tracing,
                log_retention_days=settings.log_retention_days,
                max_event_age_seconds=settings.max_event_age_seconds,
                key=key,
                former_key_arns=settings.former_kms_key_arns,
            ),
        )
