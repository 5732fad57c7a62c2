"""The filters that all dlq commands share, as options and as a choice of messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property, wraps
from typing import Annotated, Any, get_type_hints

import typer

from functions.dead_letters.message import KINDS, DeadLetterMessage
from functions.pipeline.envelope import TYPE
from functions.shared import names
from ops.commands.options import EventTypes
from ops.errors import OperatorError, did_you_mean
from ops.times import parse_time


def _kinds() -> tuple[str, ...]:
    return KINDS


@dataclass(frozen=True)
class Filters:
    """The options as typed; a message is chosen if every filter that is set matches it.

    Raises
    ------
    OperatorError
        An option is invalid. The name of a queue is checked with the environment.
    """

    queue: Annotated[
        list[str] | None,
        typer.Option("--queue", metavar="QUEUE", help="Only this queue, e.g. payments-dlq; repeatable."),
    ] = None
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help=f"Only this kind: {', '.join(KINDS)}; repeatable.",
            autocompletion=_kinds,
        ),
    ] = None
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Only messages whose reason contains this text.")
    ] = ""
    event_type: EventTypes = None
    event_id: Annotated[
        list[str] | None, typer.Option("--event-id", metavar="ID", help="Only this event; repeatable.")
    ] = None
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Only messages older than this, e.g. 2h, 30m, 7d, or older than an ISO time.",
        ),
    ] = ""

    def __post_init__(self) -> None:
        for kind in self.kind or ():
            if kind not in KINDS:
                advice = did_you_mean(kind, KINDS, f"expected one of {', '.join(KINDS)}")
                raise OperatorError(f"invalid --kind {kind!r}: {advice}", usage=True)
        for event_type in self.event_type or ():
            if not TYPE.fullmatch(event_type):
                raise OperatorError(
                    f"invalid --type {event_type!r}: expected an event type such as invoice.paid", usage=True
                )
        for event_id in self.event_id or ():
            if not names.STRIPE_ID.fullmatch(event_id):
                raise OperatorError(
                    f"invalid --event-id {event_id!r}: expected an event id such as evt_1Nq…", usage=True
                )
        _ = self.before

    @cached_property
    def before(self) -> float | None:
        """The latest time at which a chosen message failed, in Unix seconds."""
        if not self.older_than:
            return None
        return parse_time(self.older_than, "--older-than", datetime.now(UTC)).timestamp()

    def match(self, message: DeadLetterMessage) -> bool:
        """Return whether a message is chosen; `reason` matches in any case."""
        return (
            (not self.kind or message.kind in self.kind)
            and self.reason.casefold() in message.reason.casefold()
            and (not self.event_type or message.event_type in self.event_type)
            and (not self.event_id or message.event_id in self.event_id)
            and (self.before is None or message.failed_at <= self.before)
        )


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Filters` in place of its parameter `filters`."""
    hints = get_type_hints(Filters, include_extras=True)
    options = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
        )
        for each in fields(Filters)
    ]
    parameters = []
    for each in inspect.signature(command, eval_str=True).parameters.values():
        parameters += (
            options if each.name == "filters" else [each.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        )

    @wraps(command)
    def run(**values: Any) -> None:
        command(filters=Filters(**{each.name: values.pop(each.name) for each in options}), **values)

    # typer reads both.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
