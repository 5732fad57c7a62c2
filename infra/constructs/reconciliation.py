"""The scheduled comparison of Stripe's own list of events with the ledger and the handlers' records."""

from collections.abc import Mapping, Sequence

from constructs import Construct

from functions.shared import names
from infra.constructs.handler import Handler
from infra.constructs.idempotency import IdempotencyTable
from infra.constructs.ledger import Ledger
from infra.constructs.schedule import ScheduledFunction
from infra.constructs.secret import PipelineSecrets
from infra.resources.account import Account
from infra.resources.function import Code, Platform
from infra.resources.key import Key
from infra.resources.metrics import Metric
from infra.resources.policy import compact
from infra.resources.queue import Queue
from infra.settings import FunctionSettings


class Reconciliation(ScheduledFunction):
    """The function reconcile: it reads Stripe, ledger and records, and heals the gap where `heal` is set.

    Where it only reports it may neither invoke a handler nor send to the audit queue.

    Parameters
    ----------
    begin
        Unix seconds before which no event is compared; None is the first deploy.
    handled_within
        Seconds in which an event meets its handler.
    source
        The partner event source, which the envelopes of missing events name.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        minutes: int,
        heal: bool,
        begin: int | None,
        handled_within: int,
        source: str,
        code: Code,
        platform: Platform,
        settings: FunctionSettings,
        variables: Mapping[str, str],
        table: IdempotencyTable,
        secrets: PipelineSecrets,
        ledger: Ledger,
        handlers: Sequence[Handler],
        queue: Queue,
        key: Key | None,
    ) -> None:
        mode = names.RECONCILE_HEAL if heal else names.RECONCILE_REPORT
        reading = {
            names.RECONCILE: mode,
            names.LEDGER_BUCKET: ledger.name,
            names.IDEMPOTENCY_TABLE: table.name,
            names.HANDLED_WITHIN_SECONDS: str(handled_within),
            **({} if begin is None else {names.RECONCILE_FROM: str(begin)}),
        }
        healing = {
            names.EVENT_SOURCE_NAME: source,
            names.EVENTS_QUEUE_URL: queue.url,
            names.HANDLER_FUNCTIONS: compact({each.family: each.function.name for each in handlers}),
        }
        stripe = secrets.grant_read(names.STRIPE_SECRET_KEY)
        grants = [*table.grant_comparison(), *stripe, *ledger.grant_read()]
        if heal:
            grants += [*queue.grant_send(), *(grant for each in handlers for grant in each.grant_invoke())]
        super().__init__(
            scope,
            id_,
            account=account,
            minutes=minutes,
            code=code,
            platform=platform,
            settings=settings,
            variables={**variables, **reading, **(healing if heal else {})},
            grants=grants,
            key=key,
        )
        self._environment = account.environment

    def metric_missing(self) -> Metric:
        """Events that Stripe made and the ledger lacked, healed ones included."""
        return self._metric(names.EVENTS_MISSING)

    def metric_unhandled(self) -> Metric:
        """Events that reached no handler, healed ones included."""
        return self._metric(names.EVENTS_UNHANDLED)

    def _metric(self, name: str) -> Metric:
        # Each run tells what it found and what still lacks: between two runs the alarm must not go out.
        dimensions = {
            names.DIMENSION_SERVICE: self.function.family,
            names.DIMENSION_ENVIRONMENT: self._environment,
        }
        return Metric(names.METRICS_NAMESPACE, name, dimensions, period=self._period())
