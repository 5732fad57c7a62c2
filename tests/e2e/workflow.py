"""Run a workflow's jobs and steps in order, as GitHub does: scripts are real, `gh` and actions are not.

A checkout is this one. Credentials are a session of the role that the step before named, for a token with the
claims that GitHub would write for the job.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import ROOT
from ops.local import roles
from ops.local.clients import Aws
from tests.e2e.expressions import holds, value_of, values_of

# PyYAML brings no types.
yaml = importlib.import_module("yaml")


@dataclass
class Job:
    """A job that has run.

    Parameters
    ----------
    failed
        The name of the step that failed first; empty if none did.
    """

    result: str = "success"
    failed: str = ""
    said: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Step:
    """A step that has run, and what it was given: variables of a script, inputs of an action."""

    workflow: str
    job: str
    name: str
    given: Mapping[str, str]


@dataclass
class Workflow:
    """What surrounds a run: the repository, and what GitHub knows.

    Parameters
    ----------
    environment
        Variables of every step, without any credentials.
    programs
        A folder that is in front on PATH.
    secrets
        Those of the GitHub environments: a job gets them if it names one.
    steps
        Every step that has run, of all runs.
    """

    aws: Aws
    folder: Path
    programs: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def run(self, name: str, event: str, github: Mapping[str, Any], **code: str) -> dict[str, Job]:
        """Run the jobs of a workflow in order; each matrix has one environment.

        Parameters
        ----------
        event
            What started it, such as `pull_request`.
        github
            What expressions may ask of it.
        code
            Settings that the checked-out commit has.
        """
        document = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)
        done: dict[str, Job] = {}
        for key, job in document["jobs"].items():
            values = {
                "github": {"server_url": "https://github.example", "run_id": "1", "token": "none", **github},
                "vars": self.variables,
                "inputs": {},
                "secrets": self.secrets if "environment" in job else {},
                "needs": {each: {"result": ran.result} for each, ran in done.items()},
                "matrix": {},
            }
            needed = [done[each] for each in ([job["needs"]] if "needs" in job else [])]
            failing = any(each.result != "success" for each in needed)
            if not holds(job.get("if"), values, failing=failing):
                done[key] = Job("skipped")
                continue
            if "strategy" in job:
                (environment,) = json.loads(value_of(job["strategy"]["matrix"]["environment"], values))
                values["matrix"] = {"environment": environment}
            runner = _Runner(self, job, event, values, code)
            done[key] = runner.run()
            self.steps += [Step(name, key, step, given) for step, given in runner.given]
        return done


class _Runner:
    """The machine of one job: its folder, and what its steps export."""

    def __init__(
        self,
        workflow: Workflow,
        job: Mapping[str, Any],
        event: str,
        values: dict[str, Any],
        code: Mapping[str, str],
    ) -> None:
        self._workflow, self._job, self._event, self._values = workflow, job, event, values
        self._artifacts = workflow.folder / "artifacts"
        self._output, self._summary = workflow.folder / "output", workflow.folder / "summary"
        self._summary.write_text("")
        checkout = any(step.get("uses", "").startswith("actions/checkout@") for step in job["steps"])
        self._workspace = ROOT if checkout else workflow.folder / "workspace"
        if not checkout:
            shutil.rmtree(self._workspace, ignore_errors=True)
            self._workspace.mkdir()
        self._variables = {
            **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
            **({**workflow.environment, **code} if checkout else {}),
            "PATH": f"{workflow.programs}:{os.environ['PATH']}",
            # As GitHub exports it: no setting of ours has this name.
            "GITHUB_REPOSITORY": values["github"]["repository"],
            "GITHUB_REF_NAME": values["github"].get("ref_name", ""),
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_STEP_SUMMARY": str(self._summary),
            **values_of(job.get("env", {}), values),
        }
        values["steps"] = {}
        self.given: list[tuple[str, Mapping[str, str]]] = []
        self._downloaded: list[Path] = []

    def run(self) -> Job:
        """Run the steps that their conditions let run, in order; what they downloaded is removed."""
        try:
            return self._run()
        finally:
            for folder in self._downloaded:
                shutil.rmtree(folder)

    def _run(self) -> Job:
        ran = Job()
        for step in self._job["steps"]:
            if not holds(step.get("if"), self._values, failing=ran.result != "success"):
                continue
            if "uses" in step:
                given = values_of(step.get("with", {}), self._values)
                self.given.append((step["uses"].partition("@")[0], given))
                self._act(step["uses"].partition("@")[0], given)
                continue
            done = self._script(step)
            ran.said += done.stdout + done.stderr
            if done.returncode and ran.result == "success":
                ran.result, ran.failed = "failure", step.get("name", step["run"])
        ran.summary = self._summary.read_text()
        return ran

    def _script(self, step: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a script, and keep its outputs for expressions."""
        # Without `shell`, GitHub sets no pipefail.
        assert "shell" not in step
        self._output.write_text("")
        environment = {**self._variables, **values_of(step.get("env", {}), self._values)}
        self.given.append((step.get("name", step["run"]), environment))
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self._workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        rows = [line.partition("=") for line in self._output.read_text().splitlines()]
        self._values["steps"][step.get("id", "")] = {"outputs": {name: value for name, _, value in rows}}
        return done

    def _act(self, action: str, given: Mapping[str, str]) -> None:
        """Do what an action does."""
        permissions = self._job["permissions"]
        if action == "aws-actions/configure-aws-credentials":
            assert permissions["id-token"] == "write"
            subject = f"repo:{self._values['github']['repository']}:{self._subject()}"
            token = roles.token(sub=subject)
            keys = roles.exchanged(self._workflow.aws, given["role-to-assume"], token)
            self._variables |= {**keys.environment(), "AWS_REGION": given["aws-region"]}
        elif action == "actions/upload-artifact":
            self._upload(given["name"], [self._workspace / line for line in given["path"].split()])
        elif action == "actions/download-artifact":
            self._download(given)
        elif action == "actions/attest-build-provenance":
            assert permissions["attestations"] == "write"
            assert [each for each in self._workspace.glob(given["subject-path"]) if each.is_file()]
        else:
            assert action in ("actions/checkout", "actions/setup-python"), action

    def _upload(self, name: str, paths: Sequence[Path]) -> None:
        target = self._artifacts / name
        for path in paths:
            if path.is_dir():
                shutil.copytree(path, target)
            elif path.exists():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)

    def _download(self, given: Mapping[str, str]) -> None:
        """One by its name into the folder, or each that matches into a folder of its own."""
        target = self._workspace / given["path"]
        shutil.rmtree(target, ignore_errors=True)
        if self._workspace == ROOT:
            self._downloaded.append(target)
        if "name" in given:
            shutil.copytree(self._artifacts / given["name"], target)
        else:
            for each in self._artifacts.glob(given["pattern"]):
                shutil.copytree(each, target / each.name)

    def _subject(self) -> str:
        """The end of the token's subject (GitHub, "OpenID Connect reference")."""
        if "environment" in self._job:
            return f"environment:{value_of(self._job['environment'], self._values)}"
        return self._event if self._event == "pull_request" else f"ref:{self._values['github']['ref']}"
