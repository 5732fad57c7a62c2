"""The rules that decide how long events wait: from an environment's Terraform and the functions' code.

What AWS itself does is here with the page that says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from functions.dead_letters.settings import AutoRedriveSettings
from functions.pipeline.api import READ_SECONDS
from functions.pipeline.routing_table import event_types
from functions.shared import names
from functions.shared.names import HANDLERS
from infra.settings import Settings
from infra.settings.function import FIRST_RETRY_SECONDS
from ops.cost.limits import FIFO_REQUESTS, INVOCATIONS, OTHER_INVOCATIONS
from ops.cost.services import Usage
from ops.cost.stack import Stack
from ops.errors import OperatorError
from ops.simulation.texts import MINUTE

# How much more than the usual traffic a stack carries that is sized for a rate.
HEADROOM: Final = 2.0


@dataclass(frozen=True)
class HandlerRules:
    """What decides how long the events of one handler wait.

    Parameters
    ----------
    share
        Of all events.
    executions
        Invocations at once.
    work_seconds
        Of an invocation, without the API's answer.
    retries
        Of Lambda, after an invocation that failed.
    """

    share: float
    executions: int
    timeout_seconds: float
    work_seconds: float
    retries: int
    event_age_seconds: float


@dataclass(frozen=True)
class RedriveRules:
    """What decides when and how fast the redrive function empties the dead-letter queues.

    Parameters
    ----------
    run_seconds
        The function's time-out.
    queues
        Dead-letter queues that a run reads.
    types
        Event types, each with a circuit breaker of its own.
    """

    settings: AutoRedriveSettings
    interval_seconds: float
    run_seconds: float
    queues: int
    types: int


@dataclass(frozen=True)
class Rules:
    """The rules of an environment.

    Parameters
    ----------
    redrive
        None where `auto_redrive` is off: what is in the dead-letter queues waits for an operator.
    bus_per_second
        Events that EventBridge delivers in a second.
    lanes, lane_per_second
        Message groups of the audit queue for each handler, and the events that one carries in a second.
    first_retry_seconds
        Wait before Lambda's first retry; the next is twice as long.
    """

    handlers: Mapping[str, HandlerRules]
    redrive: RedriveRules | None
    api_seconds: float
    bus_per_second: float
    lanes: int
    lane_per_second: float
    first_retry_seconds: float = FIRST_RETRY_SECONDS

    def excess(self, per_second: float) -> str | None:
        """Say what does not carry so many events a second while nothing fails; None if everything does."""
        for name, rules in self.handlers.items():
            busy = per_second * rules.share * (rules.work_seconds + self.api_seconds)
            if busy > rules.executions:
                return f"{name} needs {math.ceil(busy):,} executions at once and has {rules.executions:,}"
            if per_second * rules.share > self.lanes * self.lane_per_second:
                return f"the audit lane of {name} carries {self.lane_per_second:,.0f} events a second"
        if per_second > self.bus_per_second:
            return f"EventBridge delivers {self.bus_per_second:,.0f} events a second"
        return None

    def sized(self, per_second: float) -> Rules:
        """Return them with the concurrency, quota, lanes and redrive rate that carry so many events a second.

        What carries more already stays. The redrive gets the most that its setting allows.
        """
        needed = HEADROOM * per_second
        handlers = {name: _carrying(rules, needed, self.api_seconds) for name, rules in self.handlers.items()}
        if handlers == self.handlers and needed <= self.bus_per_second:
            return self
        share = max(rules.share for rules in handlers.values())
        redrive = self.redrive
        if redrive is not None:
            redrive = replace(redrive, settings=replace(redrive.settings, per_second=most_per_second()))
        return replace(
            self,
            handlers=handlers,
            redrive=redrive,
            bus_per_second=max(self.bus_per_second, needed),
            lanes=max(self.lanes, math.ceil(needed * share / self.lane_per_second)),
        )


def of(usage: Usage) -> Rules:
    """Read the rules of a synthesised environment; what it does not say is taken from the assumptions.

    Raises
    ------
    OperatorError
        The API is assumed to be slower than the handlers wait for it.
    """
    stack, assumptions = usage.stack, usage.assumptions
    if assumptions["api_ms"] >= READ_SECONDS * 1000:
        raise OperatorError(
            f"invalid api_ms {assumptions['api_ms']:g}: the handlers wait {READ_SECONDS:.0f} s for an answer",
            usage=True,
        )
    handled = assumptions["handled_share"]
    free = assumptions["account_concurrency"] - sum(
        max(0, each.reserved) for each in stack.functions.values()
    )
    handlers = {}
    for family in HANDLERS:
        function = stack.functions[family]
        handlers[family] = HandlerRules(
            share=usage.share(family) * handled,
            executions=function.reserved if function.reserved >= 0 else max(1, int(free)),
            timeout_seconds=function.timeout_seconds,
            work_seconds=assumptions[f"{family}_ms"] / 1000,
            retries=function.retries,
            event_age_seconds=function.event_age_seconds,
        )
    quota = INVOCATIONS.get(stack.settings.aws_region, OTHER_INVOCATIONS)
    return Rules(
        handlers=handlers,
        redrive=_redrive(stack),
        api_seconds=assumptions["api_ms"] / 1000,
        bus_per_second=quota / stack.invocations_per_handled_event,
        lanes=1,
        lane_per_second=min(FIFO_REQUESTS, stack.batch / usage.seconds("audit")),
    )


def most_per_second() -> int:
    """Return the largest `auto_redrive_per_second` that the settings allow."""
    (most,) = (
        limit.le
        for limit in Settings.model_fields["auto_redrive_per_second"].metadata
        if hasattr(limit, "le")
    )
    return int(most)


def _carrying(rules: HandlerRules, per_second: float, api_seconds: float) -> HandlerRules:
    busy = per_second * rules.share * (rules.work_seconds + api_seconds)
    return replace(rules, executions=max(rules.executions, math.ceil(busy)))


def _redrive(stack: Stack) -> RedriveRules | None:
    function = stack.functions.get("redrive")
    if function is None:
        return None
    variables = function.variables
    queues = json.loads(variables[names.DEAD_LETTER_QUEUE_URLS])
    return RedriveRules(
        AutoRedriveSettings(
            api_url=variables[names.HUNTAZE_API_URL],
            table=variables[names.IDEMPOTENCY_TABLE],
            expiry_seconds=int(variables[names.IDEMPOTENCY_EXPIRY_SECONDS]),
            functions=json.loads(variables[names.HANDLER_FUNCTIONS]),
            queue_urls=queues,
            audit_queue_url=variables[names.EVENTS_QUEUE_URL],
            attempts=int(variables[names.AUTO_REDRIVE_ATTEMPTS]),
            per_second=int(variables[names.AUTO_REDRIVE_PER_SECOND]),
            handler_seconds=int(variables[names.HANDLER_SECONDS]),
        ),
        interval_seconds=stack.settings.auto_redrive_minutes * MINUTE,
        run_seconds=function.timeout_seconds,
        queues=len(queues),
        types=sum(len(event_types(handler)) for handler in HANDLERS),
    )
