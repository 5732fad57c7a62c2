"""Everything of an environment that has metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.shared import names
from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.handler import Handler
from infra.constructs.rules import EventRule
from infra.constructs.schedule import ScheduledFunction
from infra.resources.account import Account
from infra.resources.function import PipelineFunction
from infra.resources.metrics import Metric
from infra.resources.queue import Queue


@dataclass(frozen=True)
class Pipeline:
    """Everything that has metrics."""

    account: Account
    bus: PartnerEventBus
    handlers: Sequence[Handler]
    audit: Audit
    bus_log: BusLog | None = None
    scheduled: Sequence[ScheduledFunction] = ()

    @property
    def rules(self) -> dict[str, EventRule]:
        """Rules by the short name that their alarms carry."""
        lanes = {f"audit-{lane}": rule for lane, rule in self.audit.rules.items()}
        log = {"log": self.bus_log.rule} if self.bus_log else {}
        return {handler.family: handler.rule for handler in self.handlers} | lanes | log

    @property
    def functions(self) -> list[PipelineFunction]:
        return [
            *(handler.function for handler in self.handlers),
            self.audit.function,
            *(scheduled.function for scheduled in self.scheduled),
        ]

    @property
    def dead_letters(self) -> list[Queue]:
        """Every queue in which a failure can end."""
        optional = [self.bus.dead_letter, self.bus_log.dead_letter if self.bus_log else None]
        return [
            *(handler.dead_letter for handler in self.handlers),
            *self.audit.dead_letters,
            *(queue for queue in optional if queue),
        ]

    def custom(self, family: str, name: str, statistic: str, event_type: str | None = None) -> Metric:
        """A metric that the handlers publish; all but one are told apart by event type."""
        dimensions = {
            names.DIMENSION_SERVICE: family,
            names.DIMENSION_ENVIRONMENT: self.account.environment,
        }
        if event_type:
            dimensions[names.DIMENSION_EVENT_TYPE] = event_type
        return Metric(names.METRICS_NAMESPACE, name, dimensions, statistic)
