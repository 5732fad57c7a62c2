"""`watch`: which events it prints, and what it does when AWS does not answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops import environment as environments
from ops.cli import app
from ops.errors import DeniedError, OperatorError
from tests.unit.event_lists import World, end, paid


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(environments, "connect", lambda *_, **__: made)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("ops.commands.watch.LOOK_SECONDS_EMBEDDED", 0.0)
    return made


def watched(*options: str) -> Result:
    return CliRunner().invoke(app, ["watch", "--since", "2025-06-15T15:00Z", "--json", *options])


def failing(monkeypatch: pytest.MonkeyPatch, world: World, *errors: OperatorError | None) -> None:
    """Make the looks at the ledger end so, and all later ones well."""
    results = itertools.chain(errors, itertools.repeat(None))
    read = world.s3.get_object

    def get_object(**asked: str) -> dict[str, Any]:
        if error := next(results):
            raise error
        return read(**asked)

    monkeypatch.setattr(world.s3, "get_object", get_object)


def events(result: Result) -> list[str]:
    return [json.loads(line)["event_id"] for line in result.stdout.splitlines() if line.startswith("{")]


def test_a_mistyped_type_is_refused_with_the_nearest_one(world: World) -> None:
    result = watched("--type", "invoice.payed")
    assert isinstance(result.exception, OperatorError)
    assert str(result.exception) == "invalid --type 'invoice.payed': did you mean invoice.paid?"


def test_an_outcome_of_no_ended_event_is_refused(world: World) -> None:
    result = watched("--outcome", "waiting")
    assert isinstance(result.exception, OperatorError)
    assert str(result.exception) == (
        "invalid --outcome 'waiting': expected applied, recorded, duplicate, stale, parked, unrouted"
    )


def test_an_event_of_a_look_that_failed_is_printed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([[], [OperatorError("S3 does not answer")]])
    read = world.listing().__class__.refresh

    def refresh(listing: Any) -> Any:
        for error in next(looks, []):
            world.log(1, **end())
            world.audit(2, paid())
            failing(monkeypatch, world, error)
        return read(listing)

    monkeypatch.setattr("ops.story.listing.Listing.refresh", refresh)
    result = watched("--limit", "1")
    assert (result.exit_code, events(result)) == (0, ["evt_1"])
    assert "watch: S3 does not answer; the next look follows" in result.stderr


@pytest.mark.parametrize(
    "looks",
    [
        [OperatorError("S3 does not answer")],
        [None, DeniedError("S3 refuses", "s3:GetObject", "the ledger")],
    ],
)
def test_a_first_look_that_fails_and_a_refusal_end_it(
    world: World, monkeypatch: pytest.MonkeyPatch, looks: list[OperatorError | None]
) -> None:
    results: Iterator[OperatorError | None] = iter(looks)

    def refresh(_listing: Any) -> tuple[()]:
        if error := next(results):
            raise error
        return ()

    monkeypatch.setattr("ops.story.listing.Listing.refresh", refresh)
    assert watched().exception is looks[-1]
