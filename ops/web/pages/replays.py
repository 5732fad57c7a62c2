"""Replays: which there were, what a new one would send, and its start under the guards of `replay start`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from functions.pipeline.replay_names import new_name
from functions.shared.names import HANDLERS
from ops import times
from ops.console import plural
from ops.errors import OperatorError
from ops.ledger import open_ledger
from ops.replay import archive as archives
from ops.replay import forecast as forecasts
from ops.replay import record as replay_record
from ops.replay import replays, rules, starting
from ops.replay.archive import Archive
from ops.replay.forecast import Forecast
from ops.replay.rules import Rule
from ops.web import jobs, record
from ops.web.jobs import Change, Job, Result, StoppedError
from ops.web.page import Page, field, get, is_partial, post, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

KIND: Final = "replay"
PATH: Final = "/replays"
SINCE, UNTIL = "2h", "10m"
# Newest first; EventBridge keeps replays for 90 days.
SHOWN: Final = 50


def show(request: Request) -> Response:
    """Show the replays, and the form of a forecast."""
    site = site_of(request)
    found = replays.listed(site.environment, archives.of_bus(site.environment))
    return render(
        request,
        "replays_live.html" if is_partial(request) else "replays.html",
        replays=found[:SHOWN],
        more=max(0, len(found) - SHOWN),
        rules=rules.NAMES,
        chosen=HANDLERS,
        since=SINCE,
        until=UNTIL,
        running=jobs.of(site).running(KIND),
    )


def forecast(request: Request) -> Response:
    """Say what a replay would send, and start nothing."""
    site = site_of(request)
    parameters = request.query_params
    names = [each for each in rules.NAMES if each in parameters.getlist("rule")]
    if not names:
        raise OperatorError("no rule is chosen: choose at least one")
    forced = parameters.get("force", "") == "yes"
    now = datetime.now(UTC).replace(microsecond=0)
    first = times.parse_time(parameters.get("since", SINCE), "since", now)
    last = times.parse_time(parameters.get("until", UNTIL), "until", now)
    chosen, _ = _checked(site, names, first, last, now, forced=forced)

    def work(job: Job) -> Result:
        steps = job.watched()
        ledger = open_ledger(site.environment, first)
        found = forecasts.forecast(site.environment, ledger, chosen, first, last, steps)
        return _result(found, names, first, last, forced=forced)

    title = f"Forecast of {times.format_time(first)} to {times.format_time(last)} to {', '.join(names)}"
    title += ", applied again" if forced else ""
    return jobs.moved(jobs.of(site).start(site, KIND, title, PATH, work, ends_at_once=True))


def _checked(
    site: Site, names: Sequence[str], first: datetime, last: datetime, now: datetime, *, forced: bool
) -> tuple[list[Rule], Archive]:
    """Return the rules and the archive, under the guards of `replay start`.

    Raises
    ------
    OperatorError
        The archive does not hold the window, or a forced replay of the last hour overlaps it.
    """
    chosen = rules.find(site.environment, names)
    of_bus = archives.of_bus(site.environment)
    archive = archives.reaching(of_bus, first, now)
    archive.check(first, last, now)
    if forced:
        starting.refuse_overlap(site.environment, of_bus, chosen, first, last, now)
    return chosen, archive


def _result(
    found: Forecast, names: Sequence[str], first: datetime, last: datetime, *, forced: bool
) -> Result:
    fate = "applied AGAIN" if forced else "skipped as duplicates"
    facts = [
        ("events", str(found.events)),
        ("applied already", f"{found.applied}, which would be {fate}"),
        *(
            (f"{line.event_type} to {', '.join(line.rules)}", plural(line.events, "event"))
            for line in found.lines
        ),
    ]
    left = ""
    if found.unread:
        left = f"{plural(found.unread, 'object')} of the ledger could not be read: the replay may send more"
    change = Change(
        f"{PATH}/start",
        f"Replays to {', '.join(names)} what the archive holds from {times.format_time(first)} to "
        f"{times.format_time(last)}: about {plural(found.events, 'event')}, of which {found.applied} would "
        f"be {fate}.",
        "Apply again" if forced else "Start the replay",
        {
            **{"since": times.stamp(first), "until": times.stamp(last), "rules": ",".join(names)},
            "force": "yes" if forced else "",
        },
    )
    return Result(facts, left, change)


def start(request: Request) -> Response:
    """Start a replay."""
    site = site_of(request)
    environment = site.environment
    names = field(request, "rules").split(",")
    forced = field(request, "force") == "yes"
    reason = field(request, "reason").strip()
    now = datetime.now(UTC).replace(microsecond=0)
    first = times.parse_time(field(request, "since"), "since", now)
    last = times.parse_time(field(request, "until"), "until", now)
    chosen, archive = _checked(site, names, first, last, now, forced=forced)
    record.check(reason)

    def work(job: Job) -> Result:
        found = None
        if forced:
            # The record of a forced replay counts what is applied again.
            ledger = open_ledger(environment, first)
            found = forecasts.forecast(environment, ledger, chosen, first, last, job.watched())
            if job.stop:
                raise StoppedError
        # The forecast may have taken minutes, and the handlers take the time in the name for the start.
        at = starting.time_at_aws(environment)
        name = new_name(environment.name, at, forced=forced)
        details = {
            **{"replay": name, "since": times.stamp(first), "until": times.stamp(last)},
            **{"rules": names, "forced": forced},
        }
        record.write(site, "replay", reason=reason, details=details)
        if found is not None:
            replay_record.write(
                environment,
                name,
                reason=reason,
                rules=chosen,
                since=first,
                until=last,
                forecast=found,
                now=at,
            )
        starting.start(environment, name, archive, chosen, first, last, reason if forced else "")
        replay = replays.describe(environment, name)
        return Result([("replay", name), ("state", replay.state)], "Replays shows how far it is")

    again = ", applied again" if forced else ""
    title = f"Replay of {times.format_time(first)} to {times.format_time(last)} to {', '.join(names)}{again}"
    return jobs.moved(jobs.of(site).start(site, KIND, title, PATH, work, ends_at_once=True))


def cancel(request: Request) -> Response:
    """Cancel a replay; events that it has sent stay sent."""
    from starlette.responses import RedirectResponse

    site, name = site_of(request), field(request, "name")
    replays.describe(site.environment, name)
    record.write(site, "cancel-replay", reason=field(request, "reason"), details={"replay": name})
    replays.cancel(site.environment, name)
    return RedirectResponse(PATH, 303)


PAGE: Final = Page(
    "Replays",
    PATH,
    show,
    routes=(
        get(f"{PATH}/forecast", forecast),
        post(f"{PATH}/start", start),
        post(f"{PATH}/cancel", cancel),
    ),
)
