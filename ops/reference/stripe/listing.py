"""Stripe's lists of events and of connected accounts: their parameters, filters and pages.

Source: Stripe's API reference, "List all events", "List all connected accounts" and "Pagination".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl

ACCOUNTS_URL: Final = "/v1/accounts"
DEFAULT_LIMIT: Final = 10
MAXIMUM_LIMIT: Final = 100
MAXIMUM_TYPES: Final = 20
_CREATED: Final = re.compile(r"created\[(gt|gte|lt|lte)\]")
_TYPES: Final = re.compile(r"types\[\d*\]")
_NUMBER: Final = re.compile(r"\d{1,12}")

_BOUNDS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": lambda created, bound: created > bound,
    "gte": lambda created, bound: created >= bound,
    "lt": lambda created, bound: created < bound,
    "lte": lambda created, bound: created <= bound,
}


class BadParameter(Exception):  # noqa: N818 - a response of the API, not a failure of this program
    """A parameter that Stripe refuses with 400."""

    def __init__(self, parameter: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.code = code


@dataclass
class ListQuery:
    """The parameters of a list request."""

    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None
    ending_before: str | None = None
    type: str | None = None
    types: tuple[str, ...] = ()
    created: tuple[tuple[str, int], ...] = ()

    def matches(self, event: dict[str, Any]) -> bool:
        """Return whether an event passes the filters."""
        if not all(_BOUNDS[bound](event["created"], value) for bound, value in self.created):
            return False
        if self.type is not None:
            pattern = re.escape(self.type).replace(r"\*", ".*")
            return re.fullmatch(pattern, event["type"]) is not None
        return not self.types or event["type"] in self.types


def parse(query_string: str) -> ListQuery:
    """Read the query string.

    Raises
    ------
    BadParameter
        A parameter is unknown, excludes another one, or has an invalid value.
    """
    query = ListQuery()
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        if name == "limit":
            query.limit = _limit(value)
        elif name in ("starting_after", "ending_before", "type"):
            setattr(query, name, value)
        elif _TYPES.fullmatch(name):
            query.types += (value,)
        elif bound := _CREATED.fullmatch(name):
            query.created += ((bound[1], _number("created", value)),)
        else:
            raise BadParameter(name, f"Received unknown parameter: {name}", "parameter_unknown")
    if query.starting_after is not None and query.ending_before is not None:
        raise BadParameter(
            "starting_after", "Received both starting_after and ending_before parameters. Give one."
        )
    if query.type is not None and query.types:
        raise BadParameter("types", "You may not specify both type and types.")
    if len(query.types) > MAXIMUM_TYPES:
        raise BadParameter("types", f"You may specify at most {MAXIMUM_TYPES} types.")
    return query


def page(events: Sequence[dict[str, Any]], query: ListQuery) -> dict[str, Any]:
    """Return a page of events, which are sorted newest first.

    `ending_before` selects the page just before the cursor, which is newer, in the same order.

    Raises
    ------
    BadParameter
        The cursor is not an event of the list.
    """
    # One more than a page: a list of many events is read in many pages.
    most = query.limit + 1
    if query.ending_before is not None:
        before = events[: _position(events, "ending_before", query.ending_before)]
        matching = list(islice(filter(query.matches, reversed(before)), most))
        data = matching[: query.limit][::-1]
    else:
        after = events
        if query.starting_after is not None:
            after = events[_position(events, "starting_after", query.starting_after) + 1 :]
        matching = list(islice(filter(query.matches, after), most))
        data = matching[: query.limit]
    return {"object": "list", "data": data, "has_more": len(matching) > len(data), "url": "/v1/events"}


def page_of_accounts(accounts: Sequence[dict[str, Any]], query: ListQuery) -> dict[str, Any]:
    """Return a page of connected accounts, which are sorted newest first.

    Raises
    ------
    BadParameter
        The cursor is not an account of the list.
    """
    after = accounts
    if query.starting_after is not None:
        after = accounts[_position(accounts, "starting_after", query.starting_after) + 1 :]
    data = after[: query.limit]
    return {"object": "list", "data": data, "has_more": len(after) > len(data), "url": ACCOUNTS_URL}


def _position(events: Sequence[dict[str, Any]], parameter: str, event_id: str) -> int:
    for position, event in enumerate(events):
        if event["id"] == event_id:
            return position
    raise BadParameter(parameter, f"No such object: '{event_id}'", "resource_missing")


def _limit(value: str) -> int:
    limit = _number("limit", value)
    if not 1 <= limit <= MAXIMUM_LIMIT:
        raise BadParameter("limit", f"This value must be between 1 and {MAXIMUM_LIMIT}.")
    return limit


def _number(parameter: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadParameter(parameter, f"Invalid integer: {value}", "parameter_invalid_integer")
    return int(value)
