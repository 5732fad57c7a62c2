"""The data of the reference Stripe API: events in the order of their creation, and objects by id."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

# Stripe, "List all events": events going back up to 30 days.
EVENTS_KEPT_SECONDS: Final = 30 * 24 * 3600


class Store:
    """Events and objects of one Stripe account and its connected accounts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, dict[str, Any]] = {}
        self._accounts: dict[str, None] = {}
        self._objects: dict[tuple[str | None, str, str | None], dict[str, Any]] = {}

    def add_events(self, events: Iterable[dict[str, Any]]) -> None:
        """Add events; an event with a known id replaces the earlier one in its place.

        Raises
        ------
        ValueError
            One is not an event: it has no id, type or time.
        """
        new = list(events)
        for event in new:
            if not (isinstance(event, dict) and event.get("object") == "event"):
                raise ValueError("an event must be a JSON object whose `object` is event")
            for name, kind in (("id", str), ("type", str), ("created", int)):
                if not isinstance(event.get(name), kind):
                    raise ValueError(f"an event's {name} is missing or has the wrong type")  # noqa: TRY004 - see Raises
        with self._lock:
            self._events.update({event["id"]: event for event in new})

    def put(self, stripe_object: dict[str, Any], *, api_version: str | None, account: str | None) -> None:
        """Set an object's current state, for one API version or for all that have no state of their own.

        Raises
        ------
        ValueError
            It has no id.
        """
        if not (isinstance(stripe_object, dict) and isinstance(stripe_object.get("id"), str)):
            raise ValueError("an object must be a JSON object with an id")  # noqa: TRY004 - see Raises
        with self._lock:
            self._objects[account, stripe_object["id"], api_version] = stripe_object

    def object(
        self, kind: str, object_id: str, *, api_version: str | None, account: str | None
    ) -> dict[str, Any] | None:
        """Return an object of a kind as an API version renders it, or None if it doesn't exist."""
        with self._lock:
            own = self._objects.get((account, object_id, api_version))
            found = own if own is not None else self._objects.get((account, object_id, None))
        return found if found is not None and found.get("object") == kind else None

    def events(self, account: str | None) -> list[dict[str, Any]]:
        """Return the events that Stripe still keeps, newest first."""
        oldest = time.time() - EVENTS_KEPT_SECONDS
        with self._lock:
            kept = [
                e for e in self._events.values() if e["created"] >= oldest and e.get("account") == account
            ]
        # Within one second, the later event comes first.
        kept.reverse()
        return sorted(kept, key=lambda event: -int(event["created"]))

    def add_accounts(self, account_ids: Iterable[str]) -> None:
        """Connect accounts, the oldest first."""
        with self._lock:
            self._accounts.update(dict.fromkeys(account_ids))

    def accounts(self) -> list[str]:
        """Return the connected accounts, the newest first."""
        with self._lock:
            return [*reversed(self._accounts)]

    def is_connected(self, account_id: str) -> bool:
        """Return whether an account is connected; every one is while none was connected by `add_accounts`."""
        with self._lock:
            return not self._accounts or account_id in self._accounts

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._accounts.clear()
            self._events.clear()
            self._objects.clear()
