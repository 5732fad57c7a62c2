"""Accessors: each reads one value of a Stripe object, whichever API version rendered it.

A value that is absent or null reads as None. A value of a type that Stripe does not document raises
`InvalidEventError` with its JSON path: null is part of the API's contract, but the receiver of a wrong type
would have to guess.

Paths are dotted; a number is an index of a list. Of several paths the first that is not null counts, so one
accessor reads both generations of Stripe's API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from functions.shared.errors import InvalidEventError

StripeObject = Mapping[str, Any]
Accessor = Callable[[StripeObject], Any]

ROOT: Final = "detail.data.object"
# JSON libraries differ on numbers beyond 64 bits; Stripe's numbers are far smaller.
INT64_LIMIT: Final = 2**63


def text(*paths: str) -> Accessor:
    """Read a string."""
    return _first(paths, _text)


def integer(*paths: str) -> Accessor:
    """Read an integer: an amount in the currency's minor unit, a count, or a time in Unix seconds."""
    return _first(paths, _integer)


def boolean(*paths: str) -> Accessor:
    """Read true or false."""
    return _first(paths, _boolean)


def reference(*paths: str) -> Accessor:
    """Read the id of another object, given as the id itself or as the expanded object."""
    return _first(paths, _id)


def own_id(stripe_object: StripeObject) -> str:
    """Read the object's own id, the only value that must be there."""
    value = stripe_object.get("id")
    if value is None:
        raise InvalidEventError(f"{ROOT}.id", "is missing")
    return _id(value, f"{ROOT}.id")


def metadata(stripe_object: StripeObject) -> dict[str, str] | None:
    """Read the object's metadata: strings by key, as Stripe stores them."""
    value = stripe_object.get("metadata")
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise InvalidEventError(f"{ROOT}.metadata", "must be an object of strings")
    return value


def group(**accessors: Accessor) -> Accessor:
    """Read several values into one object, which is sent even if all of them are null."""

    def read(stripe_object: StripeObject) -> dict[str, Any]:
        return {key: accessor(stripe_object) for key, accessor in accessors.items()}

    return read


def _first(paths: tuple[str, ...], check: Callable[[Any, str], Any]) -> Accessor:
    steps_of_paths = [path.split(".") for path in paths]

    def read(stripe_object: StripeObject) -> Any:
        for steps in steps_of_paths:
            value, place = _find(stripe_object, steps)
            if value is not None:
                return check(value, place)
        return None

    return read


def _find(stripe_object: StripeObject, steps: list[str]) -> tuple[Any, str]:
    """Follow the steps; return the value, or None if the path ends early, and the JSON path reached."""
    value: Any = stripe_object
    place = ROOT
    for step in steps:
        if value is None:
            break
        if step.isdigit():
            if not isinstance(value, list):
                raise InvalidEventError(place, "must be a list")
            value = value[int(step)] if int(step) < len(value) else None
            place = f"{place}[{step}]"
        else:
            if not isinstance(value, dict):
                raise InvalidEventError(place, "must be an object")
            value = value.get(step)
            place = f"{place}.{step}"
    return value, place


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidEventError(place, "must be a string")
    return value


def _integer(value: Any, place: str) -> int:
    # bool is a subclass of int, and true is not an amount.
    if not isinstance(value, int) or isinstance(value, bool) or not -INT64_LIMIT <= value < INT64_LIMIT:
        raise InvalidEventError(place, "must be an integer")
    return value


def _boolean(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidEventError(place, "must be true or false")
    return value


def _id(value: Any, place: str) -> str:
    if isinstance(value, dict):
        value, place = value.get("id"), f"{place}.id"
    if not isinstance(value, str) or not value:
        raise InvalidEventError(place, "must be an id")
    return value
