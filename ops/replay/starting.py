"""The start of a replay: one command starts at most one.

StartReplay has no idempotency token: botocore's own retry, after a lost response, gets "already exists". So
the replay of that name shows whether the call succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.pipeline.replay_names import started_at
from ops import times
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.replay import replays
from ops.replay.archive import Archive
from ops.replay.rules import Rule

# In this time a second forced replay of a window is more likely a repeated command than a second purpose.
REPEATED: Final = timedelta(hours=1)
# EventBridge keeps a window in seconds.
SECOND: Final = timedelta(seconds=1)
DESCRIPTION_LIMIT: Final = 512
ALREADY_EXISTS: Final = "ResourceAlreadyExistsException"
NOT_FOUND: Final = "ResourceNotFoundException"


def time_at_aws(environment: Environment) -> datetime:
    """Return EventBridge's time, to the second: this machine's clock may be minutes off.

    The handlers compare the start in a forced replay's name with the time at which Lambda completed an event.

    Raises
    ------
    OperatorError
        EventBridge refuses, or its response has no time.
    """
    with aws_errors("the list of replays"):
        answer = environment.client("events").list_replays(Limit=1)
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        raise OperatorError(
            "EventBridge's response has no Date header: check the proxy and AWS_ENDPOINT_URL"
        ) from None


def start(
    environment: Environment,
    name: str,
    archive: Archive,
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
    reason: str,
) -> None:
    """Start a replay of a window to the rules, and no others.

    Raises
    ------
    OperatorError
        EventBridge refuses it, or it is unknown whether it runs.
    """
    wanted = {
        "ReplayName": name,
        "Description": reason[:DESCRIPTION_LIMIT],
        "EventSourceArn": archive.arn,
        "EventStartTime": since,
        "EventEndTime": until,
        "Destination": {"Arn": archive.bus_arn, "FilterArns": [rule.arn for rule in rules]},
    }
    with aws_errors(f"to start the replay {name}"):
        try:
            environment.client("events").start_replay(**wanted)
        except (BotoCoreError, ClientError) as error:
            if _refused(error):
                raise
            failure = error
        else:
            return
    found = _described(environment, name, failure)
    if found is None:
        raise OperatorError(
            f"the response to the start of {name} was lost ({_word(failure)}), and no replay of that name "
            f"exists: check `huntaze-stripe replay status {name}` before you start another"
        ) from failure
    if not _is(found, wanted):
        raise OperatorError(f"another replay named {name} was started in the same second: repeat the command")


def refuse_overlap(
    environment: Environment,
    archives: Sequence[Archive],
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
    now: datetime,
) -> None:
    """Refuse a forced replay that repeats another one of the last hour.

    Raises
    ------
    OperatorError
        There is one; --again confirms that both are meant.
    """
    chosen = {rule.arn for rule in rules}
    for replay in replays.listed(environment, archives):
        second = started_at(replay.name)
        if not replay.forced or second is None or replay.until <= since or until <= replay.since:
            continue
        begun = datetime.fromtimestamp(second, UTC)
        # ListReplays returns no rules.
        if begun > now - REPEATED and chosen & {*replays.describe(environment, replay.name).rule_arns}:
            raise OperatorError(
                f"the forced replay {replay.name}, started {times.format_time(begun)}, covers an overlapping "
                "window: a second one applies its events once more; pass --again if you want that",
                usage=True,
            )


def _refused(error: BotoCoreError | ClientError) -> bool:
    """Return whether the only call was refused, so that nothing can have started."""
    if not isinstance(error, ClientError):
        return False
    about = error.response.get("ResponseMetadata", {})
    return (
        about.get("RetryAttempts") == 0
        and 400 <= about.get("HTTPStatusCode", 0) < 500
        and (_word(error) != ALREADY_EXISTS)
    )


def _described(
    environment: Environment, name: str, failure: BotoCoreError | ClientError
) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = environment.client("events").describe_replay(ReplayName=name)
    except (BotoCoreError, ClientError) as error:
        if _word(error) == NOT_FOUND:
            return None
        raise OperatorError(
            f"the response to the start of {name} was lost ({_word(failure)}), and it may be running: check "
            f"`huntaze-stripe replay status {name}` before you start another"
        ) from error
    return found


def _is(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    same_window = all(abs(found[time] - wanted[time]) < SECOND for time in ("EventStartTime", "EventEndTime"))
    rules, wanted_rules = (each["Destination"].get("FilterArns", ()) for each in (found, wanted))
    return (
        same_window
        and sorted(rules) == sorted(wanted_rules)
        and found.get("Description", "") == wanted["Description"]
    )


def _word(error: BotoCoreError | ClientError) -> str:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return code or type(error).__name__
