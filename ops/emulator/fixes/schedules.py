"""Schedules invoke their functions with their own input and role, not as a rule does.

MiniStack runs a schedule with the code for rules. But a schedule has no bus, its target's input is the whole
payload, and it needs no resource policy of the function (EventBridge Scheduler user guide, "Setting up the
execution role").
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, scheduler

from ops.emulator.patching import original, replace
from ops.emulator.principals import SCHEDULER, by_role, is_assumable

logger = logging.getLogger(__name__)

Data = dict[str, Any]
NO_INPUT: Final = "{}"
# The interval of the checks for due schedules.
TICK_SECONDS: Final = 1


def apply() -> None:
    """Invoke the targets of schedules here, and leave those of rules to MiniStack."""
    original(scheduler, "_tick_schedules")
    replace(scheduler, "_SCHEDULE_TICK_INTERVAL", TICK_SECONDS)
    invoke: Callable[..., None] = original(eventbridge, "_invoke_target")

    def invoke_target(target: Data, event: Data, rule: Data, view: Any = None) -> None:
        if "GroupName" in rule and "EventBusName" not in rule:
            _invoke_scheduled(target, rule)
        else:
            invoke(target, event, rule, view)

    replace(eventbridge, "_invoke_target", invoke_target)
    replace(scheduler, "_update_schedule", _as_a_new_one(original(scheduler, "_update_schedule")))


def _as_a_new_one(update: Callable[[str, Data], Any]) -> Callable[[str, Data], Any]:
    """Forget when a schedule was last due: MiniStack would take a past time of an update for a done one."""
    last = original(scheduler, "_schedule_last_fired")

    def update_schedule(name: str, body: Data) -> Any:
        answer = update(name, body)
        suffix = f"{body.get('GroupName', 'default')}/{name}"
        for key in [key for key in last if key[-1] == suffix]:
            del last[key]
        return answer

    return update_schedule


def _invoke_scheduled(target: Data, schedule: Data) -> None:
    if parse_arn(target["Arn"]).service != "lambda":
        logger.warning("schedule %s: only functions are supported as targets", schedule.get("Name"))
        return
    role, arn = target.get("RoleArn", ""), schedule.get("Arn", "")
    if is_assumable(role, SCHEDULER, arn) and by_role(
        role, schedule.get("Name", ""), "lambda:InvokeFunction", target["Arn"]
    ):
        eventbridge._dispatch_to_lambda(target["Arn"], target.get("Input") or NO_INPUT)
