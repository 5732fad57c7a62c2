"""Everything in a stack that has metrics, an ARN or an address that operators need."""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.handler import Handler
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.redrive import Redrive
from infra.constructs.rules import EventRule
from infra.constructs.schedule import ScheduledFunction
from infra.resources.account import Account
from infra.resources.function import PipelineFunction
from infra.resources.queue import Queue


@dataclass(frozen=True)
class Inventory:
    """What the stack of an environment contains; None stands for what the settings leave out."""

    account: Account
    bus: PartnerEventBus
    handlers: Sequence[Handler]
    audit: Audit
    bus_log: BusLog | None = None
    redrive: Redrive | None = None
    reconciliation: Reconciliation | None = None
    compaction: ScheduledFunction | None = None

    @property
    def rules(self) -> dict[str, EventRule]:
        """Rules by the short name in the names of their alarms."""
        audit = {f"audit-{group}": rule for group, rule in self.audit.rules.items()}
        log = {"log": self.bus_log.rule} if self.bus_log else {}
        return {handler.family: handler.rule for handler in self.handlers} | audit | log

    @property
    def scheduled(self) -> list[ScheduledFunction]:
        """The scheduled functions."""
        return [each for each in (self.redrive, self.reconciliation, self.compaction) if each]

    @property
    def functions(self) -> list[PipelineFunction]:
        """All functions."""
        return [
            *(handler.function for handler in self.handlers),
            self.audit.function,
            *(scheduled.function for scheduled in self.scheduled),
        ]

    @property
    def dead_letters(self) -> list[Queue]:
        """All dead-letter queues."""
        optional = [self.bus.dead_letter, self.bus_log.dead_letter if self.bus_log else None]
        return [
            *(handler.dead_letter for handler in self.handlers),
            *self.audit.dead_letters,
            *(queue for queue in optional if queue),
        ]
