"""Run a workflow's jobs and steps in order, as GitHub does: scripts are real, `gh` and actions are not.

A checkout is this one. Credentials are a session of the role that the step before named, for a token with the
claims that GitHub would write for the job.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import ROOT
from ops.local import roles
from ops.local.clients import Aws

# PyYAML brings no types.
yaml = importlib.import_module("yaml")
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
# Of the part of the language of expressions that our workflows use: quoted text, operators, names and calls.
TOKENS = re.compile(r"'[^']*'|&&|\|\||==|!=|!|[(),]|[A-Za-z_][\w.-]*")
OPERATORS = {"&&": "and", "||": "or", "!": "not"}


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
    """

    aws: Aws
    folder: Path
    programs: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

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
            if not _holds(job.get("if"), values, failing=failing):
                done[key] = Job("skipped")
                continue
            if "strategy" in job:
                (environment,) = json.loads(_value(job["strategy"]["matrix"]["environment"], values))
                values["matrix"] = {"environment": environment}
            done[key] = self._job(job, event, values, code)
        return done

    def _job(self, job: dict[str, Any], event: str, values: dict[str, Any], code: Mapping[str, str]) -> Job:
        checkout = any(step.get("uses", "").startswith("actions/checkout@") for step in job["steps"])
        workspace = ROOT if checkout else self.folder / "workspace"
        if not checkout:
            shutil.rmtree(workspace, ignore_errors=True)
            workspace.mkdir()
        files = {name: self.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        variables = {
            **kept,
            **(self.environment if checkout else {}),
            **(code if checkout else {}),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            # As the runner exports it: no setting of ours has this name.
            "GITHUB_REPOSITORY": values["github"]["repository"],
            "GITHUB_REF_NAME": values["github"].get("ref_name", ""),
            **{name: str(file) for name, file in files.items()},
            **_values(job.get("env", {}), values),
        }
        values["steps"] = {}
        ran = Job()
        for step in job["steps"]:
            if not _holds(step.get("if"), values, failing=ran.result != "success"):
                continue
            title = step.get("name", step.get("uses", step.get("run", "")))
            own = _values(step.get("env", {}), values)
            if "run" in step:
                command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
                if "shell" not in step:
                    command[2:4] = []
                done = subprocess.run(
                    command,
                    cwd=workspace,
                    env={**variables, **own},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                ran.said += done.stdout + done.stderr
                if done.returncode and ran.result == "success":
                    ran.result, ran.failed = "failure", title
                rows = [line.partition("=") for line in files["GITHUB_OUTPUT"].read_text().splitlines()]
                if "id" in step:
                    values["steps"][step["id"]] = {"outputs": {name: value for name, _, value in rows}}
                files["GITHUB_OUTPUT"].write_text("")
            else:
                given = _values(step.get("with", {}), values)
                action = step["uses"].partition("@")[0]
                variables.update(self._action(action, given, workspace, job, event, values))
        ran.summary = files["GITHUB_STEP_SUMMARY"].read_text()
        return ran

    def _action(
        self,
        action: str,
        given: Mapping[str, str],
        workspace: Path,
        job: Mapping[str, Any],
        event: str,
        values: Mapping[str, Any],
    ) -> dict[str, str]:
        """Do what an action does; return the variables that it exports to the steps after it."""
        artifacts = self.folder / "artifacts"
        if action == "aws-actions/configure-aws-credentials":
            assert job["permissions"]["id-token"] == "write"
            subject = f"repo:{values['github']['repository']}:{_subject(job, event, values)}"
            keys = roles.exchanged(self.aws, given["role-to-assume"], roles.token(sub=subject))
            return {**keys.environment(), "AWS_REGION": given["aws-region"]}
        if action == "actions/upload-artifact":
            found = [workspace / line for line in given["path"].split()]
            for each in (path for path in found if path.exists()):
                target = artifacts / given["name"]
                if each.is_dir():
                    shutil.copytree(each, target)
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(each, target)
        elif action == "actions/download-artifact":
            target = workspace / given["path"]
            shutil.rmtree(target, ignore_errors=True)
            if "name" in given:
                shutil.copytree(artifacts / given["name"], target)
            else:
                for each in artifacts.glob(given["pattern"]):
                    shutil.copytree(each, target / each.name)
        elif action == "actions/attest-build-provenance":
            assert job["permissions"]["attestations"] == "write"
            assert [each for each in workspace.glob(given["subject-path"]) if each.is_file()]
        else:
            assert action in ("actions/checkout", "actions/setup-python"), action
        return {}


def _subject(job: Mapping[str, Any], event: str, values: Mapping[str, Any]) -> str:
    """The end of the token's subject (GitHub, "OpenID Connect reference")."""
    if "environment" in job:
        return f"environment:{_value(job['environment'], values)}"
    return event if event == "pull_request" else f"ref:{values['github']['ref']}"


def _values(texts: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _value(text, values) for name, text in texts.items()}


def _value(text: Any, values: Mapping[str, Any]) -> str:
    """A text with the values of its expressions."""
    return EXPRESSION.sub(lambda found: _text(_evaluated(found[1], values)), str(text))


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list) else "" if value is None else str(value)


def _holds(condition: str | None, values: Mapping[str, Any], *, failing: bool) -> bool:
    """Whether a job or a step runs; without a function of the status, it does if nothing failed before."""
    text = EXPRESSION.sub(r"\1", condition or "success()")
    states = {"failure": failing, "cancelled": False, "success": not failing}
    asks = any(f"{name}()" in text for name in states)
    return (asks or not failing) and bool(_evaluated(text, {**values, **states}))


def _evaluated(expression: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression in Python's words."""
    assert not TOKENS.sub("", expression).strip(), expression
    calls = {
        "fromJSON": json.loads,
        "format": lambda text, *parts: text.format(*parts),
        "failure": lambda: values["failure"],
        "cancelled": lambda: values["cancelled"],
        "success": lambda: values["success"],
    }

    def word(token: str) -> str:
        if token in OPERATORS:
            return f" {OPERATORS[token]} "
        return token if not token[0].isalpha() or token in calls else f"look({token!r})"

    def look(path: str) -> Any:
        value: Any = values
        for part in path.split("."):
            value = (value or {}).get(part)
        return value

    text = "".join(word(token) for token in TOKENS.findall(expression)).strip()
    return eval(text, {"__builtins__": {}, "look": look, **calls})  # noqa: S307 - of our own workflows
