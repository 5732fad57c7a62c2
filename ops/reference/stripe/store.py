"""What the reference Stripe API knows: events in the order in which they were made, and objects by id."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

# Stripe, "List all events": events going back up to 30 days.
EVENTS_KEPT_SECONDS = 30 * 24 * 3600


class Store:
    """Events and objects of one Stripe account and its connected accounts. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, dict[str, Any]] = {}
        self._objects: dict[tuple[str | None, str, str | None], dict[str, Any]] = {}

    def add_events(self, events: Iterable[dict[str, Any]]) -> None:
        """Add events; one whose id is known replaces the earlier one in its place.

        Raises
        ------
        ValueError
            One is no event: it lacks an id, a type, or a time.
        """
        new = list(events)
        for event in new:
            if not (isinstance(event, dict) and event.get("object") == "event"):
                raise ValueError("an event is a JSON object whose object is event")
            for name, kind in (("id", str), ("type", str), ("created", int)):
                if not isinstance(event.get(name), kind):
                    raise ValueError(f"an event's {name} is missing or has the wrong type")  # noqa: TRY004
        with self._lock:
            self._events.update({event["id"]: event for event in new})

    def put(self, stripe_object: dict[str, Any], *, api_version: str | None, account: str | None) -> None:
        """Set an object's present state, for one API version or for all without a state of their own.

        Raises
        ------
        ValueError
            It has no id.
        """
        if not (isinstance(stripe_object, dict) and isinstance(stripe_object.get("id"), str)):
            raise ValueError("an object is a JSON object with an id")  # noqa: TRY004
        with self._lock:
            self._objects[account, stripe_object["id"], api_version] = stripe_object

    def object(
        self, kind: str, object_id: str, *, api_version: str | None, account: str | None
    ) -> dict[str, Any] | None:
        """Return an object of a kind as an API version renders it, or None where there is none."""
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
        # Of one second, what was made later comes first.
        kept.reverse()
        return sorted(kept, key=lambda event: -int(event["created"]))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._events.clear()
            self._objects.clear()
