"""Watch the checkout beside a kept run, and bring each save to the embedded AWS."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Final

from rich.console import Console
from watchfiles import watch

from infra.deployment_roles import DEPLOY
from infra.names import BOOTSTRAP, stack_name
from infra.settings import StateSettings
from ops import ROOT, bundles, signals
from ops.console import plural
from ops.deploy import apply, plan_stack, synthesise
from ops.errors import OperatorError
from ops.local import roles
from ops.local.deployment import ENVIRONMENT, Deployment, as_role
from ops.local.loop.changes import FOLDERS, Changes, relevant
from ops.local.loop.live_code import LiveCode
from ops.local.loop.unit_tests import Outcome, UnitTests
from ops.progress import Steps
from ops.terraform import TerraformError

# How often the servers and the tests are looked at while nothing is saved.
TICK_MILLISECONDS: Final = 250
# An editor may write a file in several steps.
SETTLE_MILLISECONDS: Final = 50
FORMER_CODE: Final = "the former code stays live"


def follow(deployment: Deployment, console: Console) -> None:
    """Bring every save to the deployment until Ctrl-C.

    Raises
    ------
    ServerEndedError
        A server of the run ended.
    """
    with closing(Session(deployment, console)) as session:
        try:
            for changed in watch(
                *(ROOT / folder for folder in FOLDERS),
                ROOT / "main.py",
                step=SETTLE_MILLISECONDS,
                rust_timeout=TICK_MILLISECONDS,
                yield_on_timeout=True,
            ):
                deployment.services.watch.check("while the checkout was watched")
                session.tick()
                changes = relevant(path for _kind, path in changed)
                if changes.paths:
                    session.bring(changes)
        except KeyboardInterrupt:
            # This is how the loop ends, not an interrupt: forget the signal.
            signals.raise_exceptions()


class Session:
    """What the loop knows: the live code, the tests that run, and the stack's last synthesis."""

    def __init__(self, deployment: Deployment, console: Console) -> None:
        self._deployment = deployment
        self._console = console
        self._tests = UnitTests()
        self._code = self._live_code()
        self._bootstrap = self._synthesised(BOOTSTRAP)
        self._watching = False

    def close(self) -> None:
        """End the tests that run."""
        self._tests.stop()

    def tick(self) -> None:
        """Report the tests if they have ended; the first time, bring what was saved before the watch."""
        if not self._watching:
            self._watching = True
            self._replace()
        if outcome := self._tests.outcome():
            self._report(outcome)

    def bring(self, changes: Changes) -> None:
        """Make saved files live, and start the unit tests that import them."""
        self._console.print(f"saved {', '.join(changes.paths)}")
        self._tests.stop()
        try:
            if changes.code and not self._replace():
                self._console.print("the functions have this code already")
            tests = changes.unit_tests()
            self._tests.start(tests)
            self._console.print(f"unit tests that import it: {plural(len(tests), 'file')}")
            if stack := changes.of_stack():
                self._deploy(stack)
        except TerraformError as error:
            self._console.print(f"error: {error}")
        except OperatorError as error:
            self._console.print(f"error: {error}; {FORMER_CODE}")

    def _replace(self) -> bool:
        """Make the checkout's code live; return whether it differs from the live one."""
        started = time.monotonic()
        functions = self._code.replace()
        if functions:
            self._console.print(f"live in {', '.join(functions)} after {time.monotonic() - started:.1f} s")
        return bool(functions)

    def _report(self, outcome: Outcome) -> bool:
        """Print how the tests ended; without success the code that passed its tests last is live again."""
        if outcome.passed:
            self._code.keep()
            self._console.print(f"unit tests: {outcome.summary}")
            return True
        for line in outcome.lines:
            self._console.print(line)
        self._code.go_back()
        self._console.print(f"unit tests failed ({outcome.summary}): the former code is live again")
        return False

    def _deploy(self, because: tuple[str, ...]) -> None:
        """Run Terraform, after the tests: it deploys the checkout as it is.

        It runs without targets: those would hide what else a change of settings changes.
        """
        self._console.print(f"{plural(len(because), 'file')} of the stack changed: Terraform runs")
        outcome = self._tests.outcome(timeout=None)
        if outcome and not self._report(outcome):
            return
        steps = Steps(self._console)
        workspace = self._deployment.workspace
        with steps.step("synth"):
            synthesise(workspace, [ENVIRONMENT])
        if (bootstrap := self._synthesised(BOOTSTRAP)) != self._bootstrap:
            apply(plan_stack(workspace, BOOTSTRAP, "bootstrap", steps), steps)
            self._bootstrap = bootstrap
        aws = self._deployment.services.aws
        place = roles.place(aws, ENVIRONMENT, StateSettings().state_bucket)
        deployer = as_role(workspace, roles.assumed(aws, DEPLOY, place))
        planned = plan_stack(deployer, stack_name(ENVIRONMENT), ENVIRONMENT, steps)
        try:
            if planned.summary.changes:
                apply(planned, steps)
        finally:
            self._code = self._live_code()

    def _synthesised(self, stack: str) -> bytes:
        path: Path = self._deployment.workspace.outdir / "stacks" / stack / "cdk.tf.json"
        return path.read_bytes()

    def _live_code(self) -> LiveCode:
        target = bundles.host_target()
        built = {name: bundle.path for name, bundle in bundles.build(target).items()}
        functions = self._deployment.outputs.functions
        return LiveCode(self._deployment.services.aws, functions, built, target)
