"""What several checks need, read once, by whichever check asks first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ops.environment import Environment
from ops.errors import OperatorError
from ops.rights.place import Place

if TYPE_CHECKING:
    from ops.destination.session import Session
    from ops.doctor.expected import ExpectedRule
    from ops.doctor.state import State

T = TypeVar("T")


class Once(Generic[T]):
    """A value that the first caller makes while others wait; an OperatorError is everybody's, too."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: list[T] = []
        self._error: OperatorError | None = None

    def __call__(self) -> T:
        """Return the value.

        Raises
        ------
        OperatorError
            It could not be made.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._made:
                try:
                    self._made.append(self._make())
                except OperatorError as error:
                    self._error = error
                    raise
            return self._made[0]


@dataclass(frozen=True)
class Context:
    """An environment, the time, and what was read of it so far; the methods raise OperatorError."""

    environment: Environment
    now: datetime
    _known: dict[str, Once[Any]] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def client(self, service: str) -> Any:
        """Return a client of an AWS service."""
        return self.environment.client(service)

    @property
    def place(self) -> Place:
        """The ARNs of the environment."""
        account_id, caller = self.environment.caller
        return Place(
            self.environment.name,
            account_id,
            self.environment.region,
            self.environment.bus,
            partition=caller.split(":")[1],
        )

    @property
    def deploy(self) -> str:
        """The command that brings AWS back to what the settings say."""
        return f"make deploy ENV={self.environment.name}"

    def command(self, words: str) -> str:
        """Return our own command of these words for the environment."""
        return f"huntaze-stripe {words} --env {self.environment.name}"

    def rules(self) -> tuple[ExpectedRule, ...]:
        """Return the rules that the environment should have."""
        from ops.doctor.expected import rules

        return self._once("rules", lambda: rules(self.place, self.environment.settings))

    def state(self) -> State:
        """Return the Terraform state of the last deploy."""
        from ops.doctor.state import read

        return self._once("state", lambda: read(self.environment))

    def destination(self) -> Session:
        """Return Stripe's event destination, and what it should be."""
        from ops.destination.session import of

        return self._once("destination", lambda: of(self.environment, needed=False))

    def secret(self, key: str) -> str:
        """Return the deployed value of one of `names.SECRET_KEYS`; empty if its secret holds none."""
        return self._once(key, lambda: self.environment.secret(key))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            once: Once[T] = self._known.setdefault(name, Once(make))
        return once()
