"""What each function gets: bundle, settings, environment variables and grants."""

from collections.abc import Mapping, Sequence
from typing import Final

from functions.pipeline.route import LATEST
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from infra.constructs.audit import Audit
from infra.constructs.handler import Handler
from infra.constructs.idempotency import expiry_seconds
from infra.constructs.schedule import PRECISION_SECONDS
from infra.foundation import Foundation
from infra.policy import Statement, compact
from infra.resources.function import FunctionProps, Network
from infra.settings import FunctionSettings, Settings

# The bundles, as `infra.bundle` lists them.
_HANDLERS: Final = "handlers"
_AUDIT: Final = "audit"


def handler(base: Foundation, family: str) -> FunctionProps:
    """Of the payments or the billing function."""
    settings = base.settings
    secrets = _handler_secrets(settings, family)
    return _props(
        base,
        {names.PAYMENTS: settings.payments, names.BILLING: settings.billing}[family],
        {
            **_identity(base, *secrets),
            **_idempotency(base),
            names.HUNTAZE_API_URL: settings.huntaze_api_url,
            names.LIVEMODE: str(settings.livemode).lower(),
            names.ORDER: settings.order,
            names.STRIPE_READS_PER_SECOND: str(settings.stripe_reads_per_second),
        },
        [*base.table.grant_read_write(), *base.secrets.grant_read(*secrets)],
    )


def audit(base: Foundation) -> FunctionProps:
    """Of the audit function, the only one that can run in a VPC."""
    settings = base.settings
    subnets, groups = settings.audit_subnet_ids, settings.audit_security_group_ids
    return FunctionProps(
        code=base.code[_AUDIT],
        platform=base.platform,
        settings=settings.audit,
        variables={**_identity(base, names.DATABASE_URL), names.LEDGER_BUCKET: base.ledger.name},
        grants=[*base.ledger.grant_write(), *base.secrets.grant_read(names.DATABASE_URL)],
        network=Network(subnets, groups) if subnets else None,
    )


def redrive(base: Foundation, handlers: Sequence[Handler], audit: Audit) -> FunctionProps:
    """Of the redrive function, which reads every dead-letter queue but the bus's own."""
    settings = base.settings
    handler_seconds = max(each.function.timeout_seconds for each in handlers)
    # A run works until the next one begins, which Scheduler may start late, and then completes what it began.
    seconds = (
        settings.auto_redrive_minutes * 60
        + PRECISION_SECONDS
        + handler_seconds
        + names.REDRIVE_RESERVE_SECONDS
    )
    queues = {each.family: each.dead_letter for each in handlers}
    queues |= {each.short_name: each for each in audit.dead_letters}
    return _props(
        base,
        settings.redrive.lasting(seconds),
        {
            **_idempotency(base),
            names.ENVIRONMENT: settings.environment,
            names.HUNTAZE_API_URL: settings.huntaze_api_url,
            names.AUTO_REDRIVE_ATTEMPTS: str(settings.auto_redrive_attempts),
            names.AUTO_REDRIVE_PER_SECOND: str(settings.auto_redrive_per_second),
            names.HANDLER_SECONDS: str(handler_seconds),
            names.HANDLER_FUNCTIONS: _function_names(handlers),
            names.DEAD_LETTER_QUEUE_URLS: compact({name: queue.url for name, queue in queues.items()}),
            names.EVENTS_QUEUE_URL: audit.queue.url,
        },
        [
            *base.table.grant_redrive_run(),
            *(grant for handler in handlers for grant in handler.grant_redrive()),
            *audit.grant_redrive(),
        ],
    )


def reconciliation(base: Foundation, handlers: Sequence[Handler], audit: Audit) -> FunctionProps:
    """Of the reconcile function; where it only reports, it may neither invoke a handler nor send."""
    settings = base.settings
    begin, accounts = settings.reconcile_from_seconds, settings.reconcile_accounts
    props = _props(
        base,
        settings.reconciliation,
        {
            **_identity(base, names.STRIPE_SECRET_KEY),
            names.LIVEMODE: str(settings.livemode).lower(),
            names.RECONCILE: settings.reconcile,
            names.LEDGER_BUCKET: base.ledger.name,
            names.IDEMPOTENCY_TABLE: base.table.name,
            names.HANDLED_WITHIN_SECONDS: str(settings.handled_within_seconds),
            **({} if begin is None else {names.RECONCILE_FROM: str(begin)}),
            **({names.RECONCILE_ACCOUNTS: ",".join(accounts)} if accounts else {}),
        },
        [
            *base.table.grant_comparison(of_accounts=bool(accounts)),
            *base.secrets.grant_read(names.STRIPE_SECRET_KEY),
            *base.ledger.grant_read(),
        ],
    )
    if settings.reconcile != names.RECONCILE_HEAL:
        return props
    return props.add(
        {
            names.EVENT_SOURCE_NAME: settings.stripe_event_source_name,
            names.EVENTS_QUEUE_URL: audit.queue.url,
            names.HANDLER_FUNCTIONS: _function_names(handlers),
        },
        [*audit.queue.grant_send(), *(grant for each in handlers for grant in each.grant_invoke())],
    )


def compaction(base: Foundation) -> FunctionProps:
    """Of the compact function, which may delete no version of an object for ever."""
    return _props(
        base,
        base.settings.compaction,
        {
            names.ENVIRONMENT: base.settings.environment,
            names.LEDGER_BUCKET: base.ledger.name,
            names.IDEMPOTENCY_TABLE: base.table.name,
        },
        [*base.table.grant_ledger_lease(), *base.ledger.grant_compaction()],
    )


def _props(
    base: Foundation,
    settings: FunctionSettings,
    variables: Mapping[str, str],
    grants: Sequence[Statement],
) -> FunctionProps:
    return FunctionProps(base.code[_HANDLERS], base.platform, settings, variables, grants)


def _handler_secrets(settings: Settings, family: str) -> list[str]:
    """The secret values that a handler reads; one that applies states may fetch them from Stripe.

    Every handler fetches the objects of thin events.
    """
    fetching = {route.handler for route in ROUTES.values() if route.repeat == LATEST}
    fetches = settings.thin_events or (settings.order != names.OFF and family in fetching)
    return [names.HUNTAZE_API_KEY, *([names.STRIPE_SECRET_KEY] if fetches else [])]


def _identity(base: Foundation, *secrets: str) -> dict[str, str]:
    return {names.ENVIRONMENT: base.settings.environment, names.SECRET_IDS: base.secrets.ids(*secrets)}


def _idempotency(base: Foundation) -> dict[str, str]:
    return {
        names.IDEMPOTENCY_TABLE: base.table.name,
        names.IDEMPOTENCY_EXPIRY_SECONDS: str(expiry_seconds(base.settings.archive_retention_days)),
    }


def _function_names(handlers: Sequence[Handler]) -> str:
    return compact({each.family: each.function.name for each in handlers})
