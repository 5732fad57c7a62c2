"""Start the servers of a run with `dev` deployed: restored from an earlier run, or from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from ops.bundles import described_python
from ops.errors import OperatorError
from ops.local import drive, saved, variants
from ops.local.clients import Aws
from ops.local.deployment import EVENT_SOURCE, Deployment, deploy, restored
from ops.local.fingerprint import fingerprint
from ops.local.observer import refused_calls
from ops.local.report import refused_lines
from ops.local.services import Secrets, Services, running_services
from ops.progress import Steps

# Below the run's folder: what a restore leaves half done is in nobody's way.
RESTORED: Final = "restored"
FROM_NOTHING: Final = "this run deploys from nothing"
SAVE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Wanted:
    """What to start.

    Parameters
    ----------
    variant
        One of `ops.local.variants.VARIANTS`.
    with_stripe
        Whether to start the reference Stripe API too, with the event destination.
    fresh
        Whether to deploy from nothing, whatever earlier runs saved.
    """

    variant: str = variants.DEFAULT
    with_stripe: bool = False
    fresh: bool = False


@contextmanager
def deployed(folder: Path, wanted: Wanted, steps: Steps, saves: Path = saved.FOLDER) -> Iterator[Deployment]:
    """Yield `dev`, deployed to servers that run until the end of the block.

    Parameters
    ----------
    folder
        The run's folder.
    saves
        The folder of the saved deploys.

    Raises
    ------
    OperatorError
        A step fails.
    """
    key = fingerprint(wanted.variant)
    with ExitStack() as running:
        deployment = None
        if not wanted.fresh and (found := saved.find(key, saves)):
            deployment = _restored(running, folder / RESTORED, found, wanted, steps, saves)
        if deployment is None:
            deployment = _from_nothing(running, folder, wanted, steps)
            _save(deployment, key, steps, saves)
        yield deployment


def _restored(
    running: ExitStack, folder: Path, found: saved.Found, wanted: Wanted, steps: Steps, saves: Path
) -> Deployment | None:
    """Restore the deploy of an earlier run; None, with a line that says why, if that can't be done."""
    if found.taken:
        steps.console.print(f"port {found.taken} of the saved deploy is in use: {FROM_NOTHING}")
        return None
    steps.console.print("restore the deploy of an earlier run, start servers, plan, send, report")
    with steps.step("restore the deploy"):
        whole = saved.restore(found, folder, saves)
    if not whole:
        steps.console.print(f"the saved deploy was damaged, and is removed: {FROM_NOTHING}")
        return None
    try:
        with ExitStack() as trying:
            with steps.step("start the servers") as step:
                services = trying.enter_context(
                    running_services(
                        folder,
                        with_stripe=wanted.with_stripe,
                        ports=found.record.ports,
                        created=Secrets(**found.record.secrets),
                    )
                )
                with services.watch.guarding("during set-up"):
                    _settle(services, wanted)
                step.note = _servers()
            with services.watch.guarding("during the plan"):
                deployment = restored(services, steps, found.record)
            running.push(trying.pop_all())
            return deployment
    except OperatorError as error:
        saved.discard(found, saves)
        steps.console.print(f"the saved deploy can't be used, and is removed ({error}): {FROM_NOTHING}")
        return None


def _from_nothing(running: ExitStack, folder: Path, wanted: Wanted, steps: Steps) -> Deployment:
    steps.console.print(
        "start servers, build bundles, deploy with Terraform, send, report: about two minutes"
    )
    with steps.step("start the servers") as step:
        services = running.enter_context(running_services(folder, with_stripe=wanted.with_stripe))
        with services.watch.guarding("during set-up"):
            drive.register_source(services.aws, EVENT_SOURCE)
            _settle(services, wanted)
        step.note = _servers()
    with services.watch.guarding("during the deploy"), _reporting_refusals(services.aws, steps.console):
        settings = variants.settings(wanted.variant, services.aws)
        return deploy(services, steps, settings)


def _settle(services: Services, wanted: Wanted) -> None:
    if wanted.with_stripe:
        drive.add_destination(services, EVENT_SOURCE)


def _servers() -> str:
    return f"embedded AWS ({described_python()}), PostgreSQL, reference Huntaze API"


def _save(deployment: Deployment, key: str, steps: Steps, saves: Path) -> None:
    """Save a deploy for later runs, unless it fails its run: the next one must meet the failure again."""
    services = deployment.services
    if deployment.facts.second_plan_changes or refused_calls(services.aws):
        return
    with steps.step("save the deploy"), services.watch.guarding("while the deploy was saved"):
        services.aws.control.ask("POST", "/_control/state", timeout=SAVE_SECONDS)
        try:
            saved.save(deployment.record(key), services.folder, saves)
        except OSError as error:
            steps.console.print(f"the deploy was not saved: {error.strerror}; the next run deploys again")


@contextmanager
def _reporting_refusals(aws: Aws, console: Console) -> Iterator[None]:
    """Print what no policy allows if the deploy fails: Terraform names the error of AWS alone."""
    try:
        yield
    except OperatorError:
        with suppress(httpx.HTTPError):
            for line in refused_lines(refused_calls(aws)):
                console.print(line)
        raise
