"""The scheduled comparison of Stripe's list of events with the ledger and the handlers' records."""

from functions.shared import names
from infra.constructs.schedule import ScheduledFunction
from infra.resources.metrics import Metric


class Reconciliation(ScheduledFunction):
    """The function reconcile: it finds events that are missing, and heals the gap if it may."""

    def metric_missing(self) -> Metric:
        """Events that Stripe created and the ledger lacked, healed ones included."""
        return self._found(names.EVENTS_MISSING)

    def metric_unhandled(self) -> Metric:
        """Events that reached no handler, healed ones included."""
        return self._found(names.EVENTS_UNHANDLED)

    def _found(self, name: str) -> Metric:
        # Each run reports what it found and what is still missing: the alarm must stay on between two runs.
        return self.function.metric_published(name).over(period=self._period())
