"""What the event destination of an environment should be, and how a found one differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.event_types import is_routed, subscribed
from infra.names import PROJECT
from ops.destination.api import ACCOUNTS, ITSELF, Destination
from ops.environment import Environment

# How the commands know a destination as theirs.
ENVIRONMENT_KEY: Final = "huntaze_environment"
SNAPSHOT: Final = "snapshot"
THIN: Final = "thin"
NEW_SOURCE: Final = 'a new destination (docs/operations.md, "A new event source")'


@dataclass(frozen=True)
class Wanted:
    """What an environment's destination should be.

    Parameters
    ----------
    payload
        What a new one sends: snapshot or thin. The functions process both where thin ones are expected.
    ledger_event_types
        The setting.
    events_from
        Whose events it sends, as `Destination` has it.
    """

    environment: str
    account_id: str
    region: str
    livemode: bool
    payload: str
    ledger_event_types: tuple[str, ...]
    events_from: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name at Stripe."""
        return f"{PROJECT}-{self.environment}"

    def event_types(self, payload: str) -> tuple[str, ...]:
        """Return the types that a destination of this payload subscribes to, sorted."""
        return subscribed(self.ledger_event_types, thin=payload == THIN)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Its metadata at Stripe."""
        return {ENVIRONMENT_KEY: self.environment}


def wanted(environment: Environment) -> Wanted:
    """Return what an environment's destination should be.

    Raises
    ------
    OperatorError
        AWS refuses or does not answer.
    """
    return Wanted(
        environment.name,
        environment.account_id,
        environment.region,
        environment.settings.livemode,
        THIN if environment.settings.thin_events else SNAPSHOT,
        environment.settings.ledger_event_types,
        (ITSELF, ACCOUNTS) if environment.settings.reconcile_accounts else (ITSELF,),
    )


@dataclass(frozen=True)
class Difference:
    """How a destination differs from the wanted one in what an update changes; each tuple is sorted.

    Parameters
    ----------
    missing_routed, missing_unrouted
        Missing types that a handler receives, and those that only the ledger would hold.
    superfluous
        Types that are not wanted.
    labels
        A line for the name and for each entry of the metadata that an update sets.
    """

    missing_routed: tuple[str, ...]
    missing_unrouted: tuple[str, ...]
    superfluous: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """All missing types."""
        return tuple(sorted((*self.missing_routed, *self.missing_unrouted)))

    def __bool__(self) -> bool:
        return bool(self.missing or self.superfluous or self.labels)


def difference(found: Destination, expected: Wanted) -> Difference:
    """Compare types, name and metadata of a destination with the wanted ones."""
    has, needs = set(found.event_types), set(expected.event_types(found.payload))
    missing = sorted(needs - has)
    return Difference(
        tuple(each for each in missing if is_routed(each)),
        tuple(each for each in missing if not is_routed(each)),
        tuple(sorted(has - needs)),
        _labels(found, expected),
    )


def missing_sources(found: Destination, expected: Wanted) -> str:
    """Return in words whose wanted events it does not send, which no update changes; empty if it sends all.

    Source: the stripe library, `EventDestinationUpdateParams`: scopes are set at the creation.
    """
    missing = [each for each in expected.events_from if each not in found.events_from]
    if not missing:
        return ""
    needed = f"reconcile_accounts needs {ACCOUNTS}" if missing == [ACCOUNTS] else f"{ITSELF} is wanted"
    return f"events_from is {', '.join(found.events_from)}, but {needed}"


def other_payload(found: Destination, expected: Wanted) -> str:
    """Return the line for a payload that a new one would not send; empty if it would send the same."""
    if found.payload == expected.payload:
        return ""
    change = f"Stripe can't change it, so {expected.payload} events need {NEW_SOURCE}"
    if expected.payload == THIN:
        return f"payload is snapshot, which works with thin_events = true, too: {change}"
    return f"payload is thin, but thin_events = false: set it to true, and deploy; {change}"


def _labels(found: Destination, expected: Wanted) -> tuple[str, ...]:
    has = {"name": found.name, **{f"metadata {key}": found.metadata.get(key) for key in expected.metadata}}
    needs = {"name": expected.name, **{f"metadata {key}": each for key, each in expected.metadata.items()}}
    return tuple(
        f"{what}: {has[what] or 'none'}, wanted {value}"
        for what, value in sorted(needs.items())
        if has[what] != value
    )
