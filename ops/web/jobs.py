"""Work that takes longer than a page: it runs in a thread, shows how far it is, and stops when asked to.

A stop is what Ctrl-C is to a command: the current step finishes, and all that is held is released. The end of
the console stops every job, and waits for it.
"""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ops.console import PlainConsole
from ops.dlq.interrupts import Interruption
from ops.environment import aws_errors
from ops.errors import OperatorError
from ops.progress import Step, Steps
from ops.web.page import get, is_partial, leave, post, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

# Jobs that a console remembers; the oldest ended one goes first.
REMEMBERED: Final = 50
ID_BYTES: Final = 8


class Stop(Interruption):
    """Asks a job to finish its current step and to end."""

    def __init__(self, stopping: threading.Event) -> None:
        super().__init__()
        self._stopping = stopping

    def __bool__(self) -> bool:
        return super().__bool__() or self._stopping.is_set()

    def ask(self) -> None:
        """Stop the job."""
        self._set.set()


class StoppedError(OperatorError):
    """Ends what has nothing to finish: a job, or a page when the console ends."""

    def __init__(self) -> None:
        super().__init__("stopped: what was done before stays done")


class _Watched(Step):
    """A step whose progress a page shows, and no terminal."""

    def __init__(self, job: Job) -> None:
        self.note = ""
        self._job = job

    def advance_to(self, done: int, total: int | None = None, note: str | None = None) -> None:
        if self._job.ends_at_once and self._job.stop:
            raise StoppedError
        self._job.done, self._job.total = done, total
        if note is not None:
            self.note = note


class WatchedSteps(Steps):
    """The steps of a job."""

    def __init__(self, job: Job) -> None:
        super().__init__(PlainConsole(file=io.StringIO()))
        self._job = job

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a step."""
        self._job.step, self._job.done, self._job.total = name, 0, None
        step = _Watched(self._job)
        yield step
        self._job.steps.append((name, step.note))


@dataclass(frozen=True)
class Change:
    """The form of a change that a job prepared: see `parts.change`."""

    action: str
    sentence: str
    button: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What a job has done.

    Parameters
    ----------
    facts
        Pairs of name and text.
    left
        What is left to do, in one sentence.
    change
        What can be done now.
    error
        Why it ended before all was done.
    found
        What the page `Job.back` shows in place of the facts; kept until the next job of its kind starts.
    """

    facts: Sequence[tuple[str, str]]
    left: str = ""
    change: Change | None = None
    error: str = ""
    found: Any = None


@dataclass
class Job:
    """A job.

    Parameters
    ----------
    back
        The page to which it belongs. If it shows what the job found, the address has a query.
    ends_at_once
        Whether a stop ends it at its next progress: it holds nothing that must be released.
    step, done, total
        What it does now, and how far it is; without a total nobody knows how far there is to go.
    """

    id: str
    title: str
    back: str
    stop: Stop
    started: datetime
    ends_at_once: bool = False
    step: str = "start"
    done: int = 0
    total: int | None = None
    steps: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    result: Result | None = None
    error: str = ""

    @property
    def ending(self) -> str:
        """What it has done, in one line."""
        if self.result is None:
            return f"{self.title}: {self.error}"
        parts = [*(f"{name} {text}" for name, text in self.result.facts), self.result.left, self.result.error]
        return f"{self.title}: {'; '.join(filter(None, parts))}"

    @property
    def is_forgotten(self) -> bool:
        """Whether what it found is kept no more."""
        return self.result is not None and self.result.found is None

    def watched(self) -> WatchedSteps:
        """Return the steps by which the job reports."""
        return WatchedSteps(self)


Work = Callable[[Job], Result]


class Jobs:
    """The jobs of a console; of each kind one runs at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, Job] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(
        self, site: Site, kind: str, title: str, back: str, work: Work, *, ends_at_once: bool = False
    ) -> Job:
        """Start a job; of two that read the same at once, return the running one.

        Raises
        ------
        OperatorError
            One of its kind runs.
        """
        with self._lock:
            other = self._running.get(kind)
            if other is not None and not other.ended:
                if ends_at_once and other.title == title:
                    return other
                raise OperatorError(f"{other.title} still runs: wait until it has ended, or stop it")
            if other is not None and other.result is not None:
                other.result = replace(other.result, found=None)
            name, now = secrets.token_hex(ID_BYTES), datetime.now(UTC)
            job = Job(name, title, back, Stop(site.stopping), now, ends_at_once)
            self._running[kind] = self._jobs[job.id] = job
            for old in [each for each in self._jobs.values() if each.ended][:-REMEMBERED]:
                del self._jobs[old.id], self._threads[old.id]
            self._threads[job.id] = threading.Thread(target=_run, args=(job, work), name=kind)
            self._threads[job.id].start()
        return job

    def get(self, job_id: str) -> Job | None:
        """Return a job, if the console knows it."""
        return self._jobs.get(job_id)

    def find(self, job_id: str) -> Job:
        """Return a job.

        Raises
        ------
        OperatorError
            The console does not know it.
        """
        found = self.get(job_id)
        if found is None:
            raise OperatorError("this console does not know the job: it was started by another one")
        return found

    def running(self, kind: str) -> Job | None:
        """Return the job of a kind that runs, if there is one."""
        found = self._running.get(kind)
        return found if found is not None and not found.ended else None

    def unfinished(self) -> list[Job]:
        """Return the jobs that run."""
        return [job for job in self._running.values() if not job.ended]

    def wait(self, job: Job, seconds: float | None = None) -> bool:
        """Wait until a job has ended, for at most some seconds; return whether it has."""
        self._threads[job.id].join(seconds)
        return job.ended


def of(site: Site) -> Jobs:
    """Return the jobs of a console."""
    return site.recent("jobs", Jobs, 0.0, float("inf"))


def _run(job: Job, work: Work) -> None:
    try:
        with aws_errors(job.title):
            job.result = work(job)
    except OperatorError as error:
        job.error = str(error)
    except Exception as error:  # noqa: BLE001 - its text may hold data; the page names its class
        job.error = f"this job has a defect ({type(error).__name__}): report it with what you did"
    finally:
        job.ended = True


def show(request: Request) -> Response:
    """Show a job, or its live part to htmx; once it has found something, lead the browser there."""
    job = of(site_of(request)).find(request.path_params["id"])
    if job.result is not None and job.result.found is not None:
        return leave(request, f"{job.back}&job={job.id}")
    template = "job_live.html" if is_partial(request) else "job.html"
    return render(request, template, under=job.back.partition("?")[0], job=job)


def stop(request: Request) -> Response:
    """Stop a job."""
    job = of(site_of(request)).find(request.path_params["id"])
    job.stop.ask()
    return moved(job)


def moved(job: Job) -> Response:
    """Lead the browser to a job."""
    from starlette.responses import RedirectResponse

    return RedirectResponse(f"/jobs/{job.id}", 303)


# Whoever may only read may stop what only reads: such a console has no other job.
ROUTES: Final = (get("/jobs/{id}", show), post("/jobs/{id}/stop", stop, changes=False))
