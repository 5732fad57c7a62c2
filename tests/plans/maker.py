"""Deploy `dev` to the embedded AWS, and plan variants of it with Terraform.

Each plan compares with the state only, as a pull request's does, so that it takes seconds.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from infra.names import stack_name
from ops.deploy import synthesise
from ops.local import drive
from ops.local.deployment import ENVIRONMENT, EVENT_SOURCE, Deployment, deploy
from ops.local.folder import run_folder
from ops.local.services import running_services
from ops.plan_report.owners import OWNERS
from ops.progress import Steps
from ops.terraform import Terraform
from tests.plans.variants import BASES, Variant

FILE: Final = "cdk.tf.json"
# What stands in the test data for what differs in each run.
PORT: Final = "4566"
ALARM: Final = "aws_cloudwatch_metric_alarm"
KEPT: Final = ("format_version", "terraform_version", "variables", "resource_changes", "output_changes")


class Maker:
    """A deployed base, of which it makes plans in folders of its own.

    Parameters
    ----------
    base
        The settings that it was deployed with.
    """

    def __init__(self, deployment: Deployment, base: Mapping[str, str]) -> None:
        self._services = deployment.services
        self._base = base
        self._workspace = replace(
            deployment.workspace,
            outdir=deployment.workspace.outdir.with_name("plans.out"),
            scratch=deployment.workspace.scratch.with_name("plans.terraform"),
        )

    @cached_property
    def _terraform(self) -> Terraform:
        workspace = self._workspace
        folder = workspace.outdir / "stacks" / stack_name(ENVIRONMENT)
        terraform = Terraform.at(folder, workspace.environment, workspace.scratch, workspace.check)
        terraform.init()
        return terraform

    def plan(self, variant: Variant) -> dict[str, Any]:
        """Return the plan of a variant, as Terraform prints it."""
        environment = {**self._workspace.environment, **self._base, **variant.settings}
        synthesise(replace(self._workspace, environment=environment), [ENVIRONMENT])
        file = self._terraform.folder / FILE
        document = json.loads(file.read_text())
        variant.edit(document)
        file.write_text(json.dumps(document, indent=1))
        self._terraform.plan(self._saved(variant), refresh=False, destroy=variant.destroy)
        return self._terraform.show(self._saved(variant))

    def text(self, variant: Variant) -> str:
        """Return the plan of a variant, which was made before, as Terraform prints it for people."""
        terraform = self._terraform
        done = subprocess.run(
            [*terraform.engine.command, "show", "-no-color", str(self._saved(variant).resolve())],
            cwd=terraform.folder,
            env=dict(terraform.environment),
            capture_output=True,
            text=True,
            check=True,
        )
        return self._settled(done.stdout)

    def _saved(self, variant: Variant) -> Path:
        return self._workspace.plans / f"{variant.name}.tfplan"

    def _settled(self, text: str) -> str:
        services = self._services
        for value in (
            services.secrets.huntaze_api_key,
            services.secrets.stripe_secret_key,
            services.database_url,
        ):
            assert value not in text
        return text.replace(services.aws.url.rpartition(":")[2], PORT)

    def stored(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts of a plan that a report reads, without ports and secrets of the run.

        Of the resources that do not change, which a report reads to know what depends on what, it leaves out
        alarms, half of them all.
        """
        kept = {key: copy.deepcopy(plan[key]) for key in KEPT if key in plan}
        kept["resource_changes"] = [
            each
            for each in kept["resource_changes"]
            if each["type"] != ALARM or each["change"]["actions"] != ["no-op"]
        ]
        root = plan["configuration"]["root_module"]
        kept["configuration"] = {"root_module": {"variables": root.get("variables", {})}}
        if owned := list(_owners(plan)):
            kept["configuration"]["root_module"]["resources"] = owned
        document: dict[str, Any] = json.loads(self._settled(json.dumps(kept, sort_keys=True)))
        return document


def _owners(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the configuration says that new policies belong to."""
    created = {
        each["address"] for each in plan["resource_changes"] if each["change"]["actions"] == ["create"]
    }
    for each in plan["configuration"]["root_module"]["resources"]:
        if each["address"] in created and each["type"] in OWNERS:
            argument, _, _ = OWNERS[each["type"]]
            expressions = {argument: each["expressions"][argument]}
            yield {"address": each["address"], "expressions": expressions}


@contextmanager
def running_maker(base: str) -> Iterator[Maker]:
    """Deploy a base; everything is removed afterwards."""
    with run_folder() as folder, running_services(folder) as services:
        drive.register_source(services.aws, EVENT_SOURCE)
        yield Maker(deploy(services, Steps(Console(stderr=True)), BASES[base]), BASES[base])
