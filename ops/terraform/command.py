"""Terraform in one synthesised stack's folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from functions.shared import names
from ops.errors import NO_CREDENTIALS, OperatorError
from ops.terraform.cli_config import cli_environment
from ops.terraform.endpoint import backend_options, settle_override
from ops.terraform.engine import Engine, find_engine
from ops.terraform.messages import PlanSummary, Progress, Reader
from ops.terraform.mirror import holds_provider
from ops.terraform.supervision import Check, read_lines

__all__ = ["KeptError", "PlanSummary", "Terraform", "TerraformError", "operator_environment"]

from ops import ROOT

LOCK_TIMEOUT: Final = "60s"
# Where Terraform keeps the checksums of a stack's providers.
LOCK_FILE: Final = ".terraform.lock.hcl"
# Where `terraform init` installs them, or links to a mirror.
PROVIDERS: Final = ".terraform/providers"
KEYS: Final = (names.HUNTAZE_API_KEY, names.STRIPE_SECRET_KEY)
ERRORS_SHOWN: Final = 3
PLAN_ONLY: Final = "a plan does not read this value"
NO_CHANGES, CHANGES = 0, 2
# GOGC of Terraform and its provider. Each command loads the provider's whole schema and ends soon: fewer
# collections save 15 to 18 % of its processor time, for 3 % more memory.
GARBAGE_PERCENT: Final = "400"


# The next step by words in the output of Terraform and its provider.
STEPS: Final = {
    ("custom CA bundle",): "check AWS_CA_BUNDLE",
    ("shared config profile",): "check AWS_PROFILE",
    ("proxyconnect",): "check HTTPS_PROXY and HTTP_PROXY",
    ("connection refused",): "check the network and AWS_ENDPOINT_URL",
    ("no such host",): "check the network and AWS_ENDPOINT_URL",
    ("Secret", "already scheduled for deletion"): "docs/troubleshooting.md says how to restore or "
    "delete what an earlier destroy left",
    ("BucketAlreadyOwnedByYou",): "docs/troubleshooting.md says how to import the bucket",
}


# The id of a lock in the line that `messages` makes of its error.
HOLDER: Final = re.compile(r"holds it as (\S+)")


class TerraformError(OperatorError):
    """A Terraform command failed; the message holds its output in one line."""


class KeptError(TerraformError):
    """A plan would destroy resources with `prevent_destroy`; nothing was changed.

    Parameters
    ----------
    addresses
        The resources, sorted.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__(f"terraform plan failed: prevent_destroy keeps {', '.join(addresses)}")
        self.addresses = tuple(addresses)


def operator_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Terraform's variables hold the operator's exported secrets.

    HUNTAZE_API_KEY, STRIPE_SECRET_KEY and DATABASE_URL become the ephemeral variables of those names. An
    exported TF_VAR_… takes precedence.
    """
    exported = {f"TF_VAR_{name}": environment[name] for name in names.SECRET_KEYS if environment.get(name)}
    return {**exported, **environment}


@dataclass(frozen=True)
class Terraform:
    """Terraform, run in one folder with one environment.

    Parameters
    ----------
    folder
        A synthesised stack: `cdktf.out/stacks/NAME`.
    environment
        The environment of every command; see `operator_environment`.
    engine, mirror
        The Terraform that runs, and the folder that serves the provider (None: the registry).
    check
        Called repeatedly while a command runs; an error that it raises stops the command.
    """

    folder: Path
    environment: Mapping[str, str]
    engine: Engine
    mirror: Path | None
    check: Check | None = None

    @classmethod
    def at(
        cls, folder: Path, environment: Mapping[str, str], scratch: Path, check: Check | None = None
    ) -> Terraform:
        """Find the engine and the provider for a folder; the CLI configuration is written to `scratch`.

        Raises
        ------
        OperatorError
            No engine is new enough, or the folder has no synthesised stack.
        """
        if not (folder / "cdk.tf.json").is_file():
            raise OperatorError(f"{folder} has no synthesised stack: run `make synth` first")
        settle_override(folder, environment)
        settled, mirror = cli_environment(environment, scratch)
        settled |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
        settled.setdefault("GOGC", GARBAGE_PERCENT)
        # The wheel's Terraform runs as a module of this project, from another folder.
        settled["PYTHONPATH"] = str(ROOT)
        return cls(folder, settled, find_engine(settled), mirror, check)

    @property
    def provider_origin(self) -> str:
        """The origin of the provider, for people."""
        return f"mirror {self.mirror}" if self.mirror else "the Terraform registry or the CLI configuration"

    @property
    def is_initialised(self) -> bool:
        """Whether an earlier `init` of this folder left a provider; Terraform itself checks the rest."""
        return holds_provider(self.folder / PROVIDERS)

    def init(self) -> None:
        """Install the provider and connect to the backend."""
        options = backend_options(self.folder, self.environment)
        if (self.folder / LOCK_FILE).is_file():
            # Synth wrote it: a provider with another checksum is refused, and none is added.
            options.append("-lockfile=readonly")
        self._run(["init", "-reconfigure", "-no-color", *options])

    def validate(self) -> None:
        """Check the stack against the provider's schema."""
        self._run(["validate", "-no-color"])

    def plan(
        self,
        out: Path | None = None,
        progress: Progress | None = None,
        *,
        destroy: bool = False,
        refresh: bool = True,
    ) -> PlanSummary:
        """Plan, save the plan to `out` where given, and return its counts.

        Without `refresh` the stack is compared with the last state: only the state and the caller's identity
        are read, and the state is not locked.

        A missing HUNTAZE_API_KEY or STRIPE_SECRET_KEY gets a placeholder: a plan neither reads nor stores an
        ephemeral value, so that a reviewer needs no key. An apply of that plan needs the real one.
        """
        environment = {f"TF_VAR_{key}": PLAN_ONLY for key in KEYS} | dict(self.environment)
        options = ["-out", str(out.resolve())] if out else []
        options += ["-destroy"] if destroy else []
        options += [] if refresh else ["-refresh=false", "-lock=false"]
        return self._stream(["plan", "-detailed-exitcode", *options], progress, environment, (0, CHANGES))

    def apply(
        self,
        plan: Path | None = None,
        progress: Progress | None = None,
        *,
        planned: PlanSummary | None = None,
    ) -> PlanSummary:
        """Apply a saved plan, or the result of a new one; `planned` are its counts.

        The placeholders of the plan are empty here: Terraform requires the variables that were set for the
        plan, and the stack refuses an empty key that it needs.
        """
        what = [str(plan.resolve())] if plan else ["-auto-approve"]
        total = planned.resources if planned else 0
        environment = {f"TF_VAR_{key}": "" for key in KEYS} | dict(self.environment)
        return self._stream(["apply", *what], progress, environment, total=total)

    def destroy(self, progress: Progress | None = None) -> PlanSummary:
        """Destroy all resources in the state."""
        return self._stream(["destroy", "-auto-approve"], progress, self.environment)

    def outputs(self) -> dict[str, Any]:
        """Return the values of the stack's outputs, sensitive ones included."""
        document = json.loads(self._run(["output", "-json"]))
        return {name: output["value"] for name, output in document.items()}

    def show(self, plan: Path) -> dict[str, Any]:
        """Return a saved plan in Terraform's JSON form."""
        document: dict[str, Any] = json.loads(self._run(["show", "-json", str(plan.resolve())]))
        return document

    def resources(self) -> list[str]:
        """Return the addresses of the managed resources in the state."""
        lines = self._run(["state", "list"]).splitlines()
        return [line for line in lines if line and not line.startswith("data.")]

    def pull_state(self) -> dict[str, Any]:
        """Return the state as Terraform stores it, secrets included."""
        state: dict[str, Any] = json.loads(self._run(["state", "pull"]) or "{}")
        return state

    def push_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state by another one of the same lineage with a higher serial."""
        # Only this user can read it, and only until it is stored.
        with tempfile.NamedTemporaryFile("w", suffix=".tfstate") as file:
            json.dump(state, file)
            file.flush()
            self._run(["state", "push", f"-lock-timeout={LOCK_TIMEOUT}", file.name])

    def _run(self, arguments: Sequence[str]) -> str:
        """Run a short command and return its standard output."""
        with tempfile.TemporaryFile("w+") as stderr:
            process = self._start(arguments, self.environment, stderr)
            lines: list[str] = []
            with process:
                read_lines(process, lines.append, self.check)
            stderr.seek(0)
            said = stderr.read()
        stdout = "".join(lines)
        if process.returncode != 0:
            raise _failure(arguments[0], _essence(said or stdout), self.folder)
        return stdout

    def _stream(
        self,
        arguments: Sequence[str],
        progress: Progress | None,
        environment: Mapping[str, str],
        succeeded: Sequence[int] = (NO_CHANGES,),
        total: int = 0,
    ) -> PlanSummary:
        """Run a long command with machine-readable output, reporting progress as it goes."""
        reader = Reader(progress, total)
        command = [arguments[0], "-json", f"-lock-timeout={LOCK_TIMEOUT}", *arguments[1:]]
        with tempfile.TemporaryFile("w+") as stderr:
            process = self._start(command, environment, stderr)
            with process:
                read_lines(process, reader.read, self.check)
            stderr.seek(0)
            said = stderr.read()
        if process.returncode not in succeeded:
            if reader.kept and not reader.errors:
                raise KeptError(sorted(set(reader.kept)))
            more = len(reader.errors) - ERRORS_SHOWN
            errors = reader.errors[:ERRORS_SHOWN] + ([f"and {more} more errors"] if more > 0 else [])
            raise _failure(arguments[0], "; ".join(errors) or _essence(said), self.folder)
        return reader.summary

    def _start(
        self, arguments: Sequence[str], environment: Mapping[str, str], stderr: IO[str]
    ) -> subprocess.Popen[str]:
        # In its own session: Ctrl-C reaches it once, through us, so that it can unlock the state.
        return subprocess.Popen(
            [*self.engine.command, *arguments],
            cwd=self.folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )


def _failure(command: str, said: str, folder: Path) -> TerraformError:
    """Return the error of a command, with the next step if Terraform's output names none."""
    if "No valid credential sources found" in said:
        return TerraformError(NO_CREDENTIALS)
    if held := HOLDER.search(said):
        unlock = f"terraform -chdir={os.path.relpath(folder)} force-unlock {held[1]}"
        return TerraformError(f"terraform {command} failed: {said}; once that run is not alive: {unlock}")
    step = next((f"; {step}" for signs, step in STEPS.items() if all(sign in said for sign in signs)), "")
    return TerraformError(f"terraform {command} failed: {said}{step}")


def _essence(text: str) -> str:
    """Return the text of Terraform's boxed error message in one line."""
    lines = (line.strip("│╷╵ \t") for line in text.splitlines())
    return " ".join(line for line in lines if line) or "no output"
