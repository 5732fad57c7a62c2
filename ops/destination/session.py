"""What the commands have in common: the environment, Stripe, and the destination that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from ops import environment as environments
from ops import reconciliation
from ops.destination import own, wanted
from ops.destination.api import Destination, EventDestinations
from ops.destination.wanted import Difference, Wanted
from ops.environment import UNNAMED_BUS, Environment
from ops.errors import OperatorError


@dataclass(frozen=True)
class Session:
    """One command at work; make it with `begin`.

    Parameters
    ----------
    found
        The environment's destination; None if it has none.
    """

    environment: Environment
    api: EventDestinations
    wanted: Wanted
    found: Destination | None

    @property
    def its_own(self) -> Destination:
        """The environment's destination.

        Raises
        ------
        OperatorError
            It has none.
        """
        if self.found is None:
            raise OperatorError(
                f"{self.environment.name} has no event destination at Stripe: run `huntaze-stripe "
                f"destination create --env {self.environment.name}`"
            )
        return self.found

    @property
    def difference(self) -> Difference:
        """How it differs from the wanted one in what an update changes."""
        return self.difference_of(self.its_own)

    def difference_of(self, found: Destination) -> Difference:
        """Return how a destination differs from the wanted one in what an update changes."""
        return wanted.difference(found, self.wanted)

    def unchangeable(self, found: Destination) -> list[str]:
        """Return a line for each difference that no update changes."""
        missing = wanted.missing_sources(found, self.wanted)
        sources = f"{missing}: Stripe can't change it, so make {wanted.NEW_SOURCE}" if missing else ""
        return [line for line in (sources, wanted.other_payload(found, self.wanted)) if line]

    def create(self, api_version: str) -> Destination:
        """Create it.

        This method and the next three raise OperatorError if Stripe refuses or does not answer.
        """
        expected = self.wanted
        return self.api.create(
            name=expected.name,
            metadata=expected.metadata,
            account_id=expected.account_id,
            region=expected.region,
            event_types=expected.event_types(expected.payload),
            events_from=expected.events_from,
            payload=expected.payload,
            api_version=api_version,
        )

    def update(self) -> Destination:
        """Give it the wanted name, metadata and event types."""
        expected = self.wanted
        return self.api.update(
            self.its_own.id,
            name=expected.name,
            metadata=expected.metadata,
            event_types=expected.event_types(self.its_own.payload),
        )

    def enable(self) -> Destination:
        """Enable it."""
        return self.api.enable(self.its_own.id)

    def disable(self) -> Destination:
        """Disable it."""
        return self.api.disable(self.its_own.id)


def begin(env: str, *, needed: bool = True) -> Session:
    """Find the event destination of an environment.

    Parameters
    ----------
    needed
        Whether it must exist.

    Raises
    ------
    OperatorError
        It doesn't, or settings, key, Stripe or AWS can't be used.
    """
    return of(environments.connect(env, bus=False), needed=needed)


def of(environment: Environment, *, needed: bool = True) -> Session:
    """Find the event destination of a connected environment; see `begin`."""
    api = EventDestinations(reconciliation.stripe(environment))
    expected = wanted.wanted(environment)
    source_name = "" if environment.bus == UNNAMED_BUS else environment.bus
    session = Session(environment, api, expected, own.find(api.all(), expected, source_name))
    if needed:
        _ = session.its_own
    return session
