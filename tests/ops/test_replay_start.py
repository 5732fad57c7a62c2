"""Starting a replay: answers that are lost, and forced replays that overlap."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from functions.pipeline.replay_names import new_name
from ops.environment import CONFIG
from ops.errors import OperatorError
from ops.replay import starting
from ops.replay.archive import Archive
from ops.replay.rules import Rule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ARCHIVE = Archive("arn:archive", "arn:bus", NOW - timedelta(days=9), None)
PAYMENTS, BILLING = Rule("payments", "arn:payments"), Rule("billing", "arn:billing")


@dataclass
class EventBridge:
    """EventBridge's replays behind a socket that can be cut before an answer is sent."""

    url: str = ""
    replays: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    # Answers to StartReplay in their order: "lost" after it has started, a code of AWS, or "" for success.
    answers: list[str] = field(default_factory=list)
    describes: bool = True
    # What the head of each answer says of the time; None for nothing.
    date: str | None = "Mon, 23 Nov 2026 12:00:30 GMT"

    def start(self, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        answer = self.answers.pop(0) if self.answers else ""
        if answer and answer != "lost":
            return 400, {"__type": answer, "message": answer}
        if wanted["ReplayName"] in self.replays:
            return 400, {"__type": "ResourceAlreadyExistsException", "message": "Replay already exists."}
        self.replays[wanted["ReplayName"]] = wanted | {"State": "STARTING"}
        return None if answer == "lost" else (200, {"State": "STARTING"})

    def answer(self, operation: str, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        self.asked.append(operation)
        if operation == "StartReplay":
            return self.start(wanted)
        if operation == "ListReplays":
            # A list contains neither rules nor description.
            shown = ("ReplayName", "State", "EventStartTime", "EventEndTime")
            return 200, {"Replays": [{name: each[name] for name in shown} for each in self.replays.values()]}
        if not self.describes:
            return 400, {"__type": "AccessDeniedException", "message": "no"}
        found = self.replays.get(wanted["ReplayName"])
        return (200, found) if found else (400, {"__type": "ResourceNotFoundException", "message": "none"})


@pytest.fixture
def bridge() -> Iterator[EventBridge]:
    made = EventBridge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = made.answer(self.headers["X-Amz-Target"].partition(".")[2], wanted)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            body = json.dumps(answer[1]).encode()
            self.send_response_only(answer[0])
            if made.date is not None:
                self.send_header("Date", made.date)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield made
        server.shutdown()
        thread.join()


def environment(bridge: EventBridge) -> Any:
    client = boto3.client(
        "events",
        region_name="eu-west-1",
        endpoint_url=bridge.url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=CONFIG,
    )
    return SimpleNamespace(client=lambda _service: client, name="dev")


def start(bridge: EventBridge, **changes: Any) -> str:
    name = new_name("dev", changes.pop("now", NOW), forced=True)
    values: dict[str, Any] = {
        "archive": ARCHIVE,
        "rules": [PAYMENTS],
        "since": NOW - 2 * HOUR,
        "until": NOW - HOUR,
        "reason": "restored",
    }
    starting.start(environment(bridge), name, **(values | changes))
    return name


@pytest.mark.parametrize(
    "answers",
    [
        ["lost"],
        ["lost", "ThrottlingException"],
        ["lost", "ThrottlingException", "ThrottlingException"],
        ["lost", "InternalException", "InternalException"],
    ],
)
def test_replay_of_which_the_answer_is_lost_is_the_one_that_was_asked_for(
    bridge: EventBridge, answers: list[str]
) -> None:
    bridge.answers = answers
    name = start(bridge)
    assert list(bridge.replays) == [name]


@pytest.mark.parametrize(
    "other",
    [
        {"reason": "another person's"},
        {"rules": [BILLING]},
        {"since": NOW - 3 * HOUR},
        {"until": NOW - HOUR / 2},
    ],
)
def test_another_persons_replay_of_the_same_second_is_not_ours(
    bridge: EventBridge, other: dict[str, Any]
) -> None:
    start(bridge, **other)
    with pytest.raises(OperatorError, match="in the same second: repeat the command"):
        start(bridge)
    assert len(bridge.replays) == 1


def test_refusal_is_reported_as_one_and_nothing_is_looked_for(bridge: EventBridge) -> None:
    bridge.answers = ["AccessDeniedException"]
    with pytest.raises(OperatorError, match="the permission for StartReplay"):
        start(bridge)
    assert bridge.asked == ["StartReplay"]


@pytest.mark.parametrize(
    ("describes", "found"), [(True, "no replay of that name exists"), (False, "it may be running")]
)
def test_unknown_outcome_says_where_to_look_before_another_is_started(
    bridge: EventBridge, *, describes: bool, found: str
) -> None:
    bridge.answers = ["ThrottlingException"] * 9
    bridge.describes = describes
    with pytest.raises(OperatorError) as caught:
        start(bridge)
    assert found in str(caught.value)
    assert "huntaze-stripe replay status forced-replay-dev-20261123T120000Z" in str(caught.value)
    assert "\n" not in str(caught.value)


def check(bridge: EventBridge, now: datetime, **changes: Any) -> None:
    values: dict[str, Any] = {"rules": [PAYMENTS], "since": NOW - 2 * HOUR, "until": NOW - HOUR}
    starting.refuse_overlap(environment(bridge), [ARCHIVE], **(values | changes), now=now)


def test_forced_replay_of_the_same_window_within_the_hour_needs_a_word(bridge: EventBridge) -> None:
    name = start(bridge)
    with pytest.raises(OperatorError) as caught:
        check(bridge, NOW + timedelta(seconds=40))
    assert caught.value.usage
    for part in (name, "2026-11-23 12:00:00 UTC", "--again"):
        assert part in str(caught.value)
    with pytest.raises(OperatorError, match="--again"):
        check(
            bridge, NOW + timedelta(minutes=59), rules=[BILLING, PAYMENTS], since=NOW - 1.1 * HOUR, until=NOW
        )


@pytest.mark.parametrize(
    ("minutes", "changes"),
    [
        (61, {}),
        (1, {"rules": [BILLING]}),
        (1, {"since": NOW - HOUR, "until": NOW}),
        (1, {"since": NOW - 3 * HOUR, "until": NOW - 2 * HOUR}),
    ],
)
def test_forced_replay_that_brings_nothing_again_needs_none(
    bridge: EventBridge, minutes: int, changes: dict[str, Any]
) -> None:
    start(bridge)
    check(bridge, NOW + timedelta(minutes=minutes), **changes)


def test_replay_without_force_needs_none(bridge: EventBridge) -> None:
    starting.start(
        environment(bridge),
        new_name("dev", NOW, forced=False),
        ARCHIVE,
        [PAYMENTS],
        NOW - 2 * HOUR,
        NOW - HOUR,
        "",
    )
    check(bridge, NOW + timedelta(minutes=1))


def test_time_in_a_replays_name_is_awss_and_not_this_machines(bridge: EventBridge) -> None:
    """The handlers compare it with what Lambda's clock wrote."""
    assert starting.time_at_aws(environment(bridge)) == NOW + timedelta(seconds=30)


@pytest.mark.parametrize("date", [None, "soon"])
def test_answer_without_a_time_is_refused_in_one_line(bridge: EventBridge, date: str | None) -> None:
    bridge.date = date
    with pytest.raises(OperatorError, match="has no Date header"):
        starting.time_at_aws(environment(bridge))
