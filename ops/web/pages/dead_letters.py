"""Dead-letter queues: what failed, grouped by reason, with redrive and purge under the guards of `dlq`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.redrive import OUTCOMES
from ops.console import plural
from ops.dlq import purge as purges
from ops.dlq import queues as dead_letter_queues
from ops.dlq import redrive as redrives
from ops.dlq import tables, targets
from ops.dlq.drain import Messages, inspect
from ops.dlq.filters import Filters
from ops.dlq.queues import NamedQueue, is_unsettled
from ops.dlq.redrive import MEANINGS, RedriveRun
from ops.dlq.session import Session
from ops.errors import OperatorError
from ops.web import jobs, record
from ops.web.jobs import Job, Result, Stop
from ops.web.page import Page, field, post, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

KIND: Final = "dead-letter queues"
# As `dlq redrive` by default.
PER_SECOND: Final = 5.0
# Bars of a graph; the first one begins with the oldest message.
BARS: Final = 24
SHORTEST_SECONDS: Final = 3600.0
# Messages that the table of a selection shows; the groups count all.
SHOWN: Final = 100
# Not `reason`: in a form that is why somebody changes something.
_NAMES: Final = ("queue", "kind", "failure", "type", "event")


@dataclass(frozen=True)
class Selection:
    """Which messages the page is about; an empty text chooses all."""

    queue: str = ""
    kind: str = ""
    reason: str = ""
    event_type: str = ""
    event_id: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Selection:
        """Read it from the parameters of an address or the fields of a form."""
        return cls(*(values.get(name, "") for name in _NAMES))

    def filters(self) -> Filters:
        """Return the filters of the `dlq` commands.

        Raises
        ------
        OperatorError
            A value is invalid.
        """
        return Filters(
            queue=[self.queue] if self.queue else None,
            kind=[self.kind] if self.kind else None,
            reason=self.reason,
            event_type=[self.event_type] if self.event_type else None,
            event_id=[self.event_id] if self.event_id else None,
        )

    @property
    def fields(self) -> dict[str, str]:
        """The parameters that are set."""
        values = (self.queue, self.kind, self.reason, self.event_type, self.event_id)
        return {name: value for name, value in zip(_NAMES, values, strict=True) if value}

    @property
    def words(self) -> str:
        """What is chosen, for a sentence."""
        return ", ".join(self.fields.values()) or "all dead-letter queues"

    @property
    def page(self) -> str:
        """The page that is about it."""
        return f"/events/{self.event_id}" if self.event_id else "/dead-letters"


@dataclass(frozen=True)
class Group:
    """Messages that failed alike, and how many of them failed when: the height of each bar, up to 1."""

    group: tables.Group
    href: str
    bars: tuple[float, ...]


def show(request: Request) -> Response:
    """Show the groups, and what can be done with the chosen messages."""
    site = site_of(request)
    chosen = Selection.of(request.query_params)
    filters = chosen.filters()
    queues = dead_letter_queues.find(site.environment, filters.queue or ())
    now = datetime.now(UTC).timestamp()
    quiet = Job("", "look", "", Stop(site.stopping), datetime.now(UTC))
    messages, counts = inspect(queues, filters, quiet.watched(), quiet.stop, whole=False)
    return render(
        request,
        "dead_letters.html",
        chosen=chosen,
        groups=_groups(messages, now),
        messages=[(message, queue, now - message.failed_at) for message, queue in messages[:SHOWN]],
        total=len(messages),
        unseen=counts.all_unseen,
        unsettled=sum(is_unsettled(message, queue) for message, queue in messages),
        span=max(SHORTEST_SECONDS, max((now - message.failed_at for message, _ in messages), default=0)),
        fields=chosen.fields | {"before": str(now)},
        running=jobs.of(site).running(KIND),
        file=purges.FOLDER,
    )


def _groups(messages: Messages, now: float) -> list[Group]:
    oldest = min((message.failed_at for message, _ in messages), default=now)
    begin = min(oldest, now - SHORTEST_SECONDS)
    return [
        Group(each, f"/dead-letters?{urlencode(_fields_of(each))}", _bars(each, messages, begin, now))
        for each in tables.groups(messages)
    ]


def _fields_of(group: tables.Group) -> dict[str, str]:
    chosen = Selection(group.queue, group.kind, group.reason, group.event_type or "")
    return chosen.fields


def _bars(group: tables.Group, messages: Messages, begin: float, now: float) -> tuple[float, ...]:
    counts = [0] * BARS
    for message, queue in messages:
        key = (queue.name, message.kind, message.reason, message.event_type)
        if key == (group.queue, group.kind, group.reason, group.event_type):
            share = (message.failed_at - begin) / (now - begin)
            counts[min(BARS - 1, max(0, int(share * BARS)))] += 1
    most = max(counts)
    return tuple(count / most for count in counts)


def redrive(request: Request) -> Response:
    """Redrive the chosen messages that the page showed; as by `dlq redrive`, a named event is settled."""

    def work(job: Job, session: Session) -> Result:
        found = targets.find(session.environment, session.queues, settle=bool(session.filters.event_id))
        return _redriven(redrives.run(session, found, _wanted(session), PER_SECOND, job.stop))

    return _start(request, "redrive", "Redrive", work)


def _redriven(done: RedriveRun) -> Result:
    outcomes = [(MEANINGS[each], str(count)) for each in OUTCOMES if (count := done.outcomes()[each])]
    failures = [
        (f"failed in {queue}", f"{count}: {tables.one_line(reason)}")
        for (queue, reason), count in sorted(done.failures().items())
    ]
    if not outcomes and not done.stopped:
        return Result([("messages", "none")], "no message was seen: others hold it, or it is gone")
    left = f"{plural(done.left, 'message')} left in the queues" if done.left else ""
    return Result([*outcomes, *failures], left, error=_why(done.stopped))


def purge(request: Request) -> Response:
    """Purge the chosen messages that the page showed; those of unknown outcome stay."""
    file = purges.default_file(site_of(request).environment.name, datetime.now(UTC))

    def work(job: Job, session: Session) -> Result:
        purges.check_new(file)
        skipped = purges.Skipped(nothing=False)
        done = purges.run(session, _wanted(session, skipped), file, job.stop)
        facts = [("deleted", str(done.deleted)), ("written to", str(file) if done.written else "no file")]
        left = []
        if done.left:
            left.append(f"{plural(done.left, 'message')} in the file and still in the queues")
        if skipped.count:
            left.append(f"{plural(skipped.count, 'message')} of unknown outcome left alone: redrive first")
        return Result(facts, "; ".join(left), error=_why(done.stopped))

    return _start(request, "purge", "Purge", work)


def _why(stopped: OperatorError | None) -> str:
    """Return why a redrive or a purge ended early, of which some was done; empty if it did not."""
    return "" if stopped is None else str(stopped)


def _wanted(session: Session, skipped: Any = lambda _message, _queue: False) -> Any:
    """Choose what the page showed: a younger message may be one that was refused again a moment ago."""

    def wanted(message: DeadLetterMessage, queue: NamedQueue) -> bool:
        return (
            message.failed_at <= session.now
            and session.filters.match(message)
            and not skipped(message, queue)
        )

    return wanted


def _start(request: Request, action: str, verb: str, work: Any) -> Response:
    site = site_of(request)
    chosen = Selection.of({name: field(request, name) for name in _NAMES})
    filters = chosen.filters()
    before = _before(field(request, "before"))
    queues = dead_letter_queues.find(site.environment, filters.queue or ())
    if jobs.of(site).running(KIND):
        raise OperatorError("another redrive or purge still runs: wait until it has ended, or stop it")
    details = {**chosen.fields, "before": before, "messages_in_queues": sum(each.size() for each in queues)}
    record.write(site, action, reason=field(request, "reason"), details=details)

    def run(job: Job) -> Result:
        steps = job.watched()
        session = Session(site.environment, queues, filters, steps.console, steps, as_json=True, now=before)
        result: Result = work(job, session)
        return result

    job = jobs.of(site).start(site, KIND, f"{verb}: {chosen.words}", chosen.page, run)
    return jobs.moved(job)


def _before(text: str) -> float:
    try:
        before = float(text)
    except ValueError:
        before = -1.0
    if not 0 < before <= time.time():
        raise OperatorError("the form is not one of this page: open Dead-letter queues again")
    return before


PAGE: Final = Page(
    "Dead-letter queues",
    "/dead-letters",
    show,
    routes=(post("/dead-letters/redrive", redrive), post("/dead-letters/purge", purge), *jobs.ROUTES),
)
