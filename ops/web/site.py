"""What all pages of a console share: the environment, what may be changed, and what was read of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Lock
from typing import Any, Final, TypeVar

from ops.environment import Environment
from ops.errors import OperatorError
from ops.terraform.endpoint import is_embedded

T = TypeVar("T")
# Seconds between two looks at what is live. CloudWatch has a value a minute, and bills each metric read.
LIVE_SECONDS: Final = 2.0
LIVE_SECONDS_AWS: Final = 60.0
# How far back the list of events goes, unless somebody asks for more: AWS bills what is read.
EMBEDDED_WINDOW: Final = timedelta(hours=48)
AWS_WINDOW: Final = timedelta(hours=1)


class ReadOnlyError(OperatorError):
    """The console was started without --allow-changes."""

    def __init__(self) -> None:
        super().__init__("this console is read-only: start it with --allow-changes to change anything")


@dataclass(frozen=True)
class Site:
    """An environment as the pages see it.

    Parameters
    ----------
    document
        Its synthesised Terraform.
    embedded
        Whether it is an embedded AWS: one on this machine.
    since
        Where the list of events begins.
    stopping
        Set when the console ends.
    """

    environment: Environment
    document: dict[str, Any] = field(repr=False)
    allow_changes: bool = False
    embedded: bool = False
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - EMBEDDED_WINDOW)
    stopping: Event = field(default_factory=Event, repr=False)
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict, repr=False)
    _locks: dict[str, Lock] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def live_seconds(self) -> float:
        """Seconds between two looks at what is live."""
        return LIVE_SECONDS if self.embedded else LIVE_SECONDS_AWS

    def require_changes(self) -> None:
        """Refuse a change in a console that is read-only.

        Raises
        ------
        ReadOnlyError
            It is.
        """
        if not self.allow_changes:
            raise ReadOnlyError

    def recent(self, name: str, read: Callable[[], T], now: float, seconds: float | None = None) -> T:
        """Return a value that is read again after some seconds; several browsers cost one read.

        Parameters
        ----------
        now
            A monotonic time in seconds.
        seconds
            For how long it is kept; that of what is live without it.
        """
        kept_for = self.live_seconds if seconds is None else seconds
        with self._lock:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            found = self._kept.get(name)
            if found is None or now - found[0] >= kept_for:
                found = self._kept[name] = (now, read())
        value: T = found[1]
        return value


def of(environment: Environment, *, allow_changes: bool = False, since: datetime | None = None) -> Site:
    """Return the site of an environment; synthesises its stack, which takes seconds.

    Parameters
    ----------
    since
        Where the list of events begins; two days or, on AWS, one hour ago without it.

    Raises
    ------
    OperatorError
        The stack can't be synthesised.
    """
    from ops.cost.stack import variables_of
    from ops.dev.synthesised import synthesised_apart

    document = synthesised_apart(environment.name, variables_of(environment.settings))
    embedded = is_embedded(os.environ)
    first = since or datetime.now(UTC) - (EMBEDDED_WINDOW if embedded else AWS_WINDOW)
    return Site(environment, document, allow_changes, embedded, first)
