"""One real plan of every variant, for what scans it: each is a module of one Terraform configuration.

Ten plans would start the provider twenty times; together they take as long as one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from functions.shared import names
from infra import settings as infra_settings
from infra.names import BOOTSTRAP, stack_name
from infra.resources.suppression import CHECKOV, COMMENT, SUPPRESSED
from ops import DEFAULT_ENVIRONMENT
from ops.dev import synthesised
from ops.local import variants
from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.terraform import Terraform
from ops.terraform.command import LOCK_FILE

# Any name of an event source: a plan does not look for it.
SOURCE: Final = "aws.partner/stripe.com/ed_policy_scan"
# Settings that each operator must add to the shipped files.
OWN: Final = {"STRIPE_EVENT_SOURCE_NAME": SOURCE, "ALERT_EMAILS": "oncall@huntaze.com"}
GITHUB: Final = {"DEPLOYING_REPOSITORY": "huntaze/huntaze-stripe-eventbridge"}
# A plan does not look for them either.
NETWORK: Final = {"AUDIT_SUBNET_IDS": "subnet-0a", "AUDIT_SECURITY_GROUP_IDS": "sg-0a"}
# Terraform asks for values; no plan holds them.
VALUES: Final = {f"TF_VAR_{key}": "policy" for key in names.SECRET_KEYS}
STACK: Final = "cdk.tf.json"
ENDPOINT: Final = "AWS_ENDPOINT_URL"


@dataclass(frozen=True)
class Planned:
    """The plan of all variants.

    Parameters
    ----------
    shown
        The plan as `terraform show -json` prints it.
    suppressed
        The reason of each check that a resource may fail, by the resource's address and the check.
    """

    shown: Mapping[str, Any]
    suppressed: Mapping[tuple[str, str], str]


def planned(folder: Path) -> Planned:
    """Plan every environment, and dev in every variant, against an embedded AWS in an empty account."""
    with running_emulator(folder / "aws") as url:
        aws = Aws(url, REGION)
        environment = {
            **os.environ,
            **isolated_environment(folder / "aws"),
            **aws.credentials.environment(),
            **VALUES,
            ENDPOINT: url,
        }
        modules = dict(synthesised_stacks(folder))
        root = folder / "together"
        root.mkdir()
        for name, stack in modules.items():
            shutil.copytree(stack, root / name, ignore=shutil.ignore_patterns(LOCK_FILE))
        shutil.copy(next(iter(modules.values())) / LOCK_FILE, root / LOCK_FILE)
        documents = {name: json.loads((root / name / STACK).read_text()) for name in modules}
        (root / STACK).write_text(json.dumps(_together(documents)))
        terraform = Terraform.at(root, environment, folder / "terraform")
        # Without the endpoint, for which the command would configure a backend in S3.
        replace(
            terraform,
            environment={name: value for name, value in terraform.environment.items() if name != ENDPOINT},
        ).init()
        terraform.plan(root / "all.tfplan", refresh=False)
        return Planned(terraform.show(root / "all.tfplan"), dict(_suppressed(documents)))


def synthesised_stacks(folder: Path) -> Iterator[tuple[str, Path]]:
    """Synthesise, and yield the folder of each stack by the name of its module."""
    shipped = infra_settings.environments()
    every = synthesised.write(folder / "shipped", shipped, OWN)
    yield "bootstrap", every / BOOTSTRAP
    for name in shipped:
        yield name, every / stack_name(name)
    yield "github", synthesised.write(folder / "github", shipped, OWN | GITHUB, deployed=True) / BOOTSTRAP
    dev = DEFAULT_ENVIRONMENT
    for variant in variants.VARIANTS:
        if variant != variants.DEFAULT:
            network = NETWORK if variant in variants.IN_NETWORK else {}
            settings = {**OWN, **variants.VARIANTS[variant], **network}
            stacks = synthesised.write(folder / "variants" / variant, [dev], settings)
            yield f"{dev}_{variant.replace('-', '_')}", stacks / stack_name(dev)


def _together(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a configuration with each stack as a module, and with the variables of all of them."""
    variables = {
        name: {"type": "string", "ephemeral": True, "sensitive": True}
        for document in documents.values()
        for name in document.get("variable", {})
    }
    modules = {
        name: {"source": f"./{name}", **{each: f"${{var.{each}}}" for each in document.get("variable", {})}}
        for name, document in documents.items()
    }
    return {"variable": variables, "module": modules}


def _suppressed(documents: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], str]]:
    for module, document in documents.items():
        for kind, resources in document["resource"].items():
            for name, resource in resources.items():
                for check, reason in resource.get(COMMENT, {}).get(SUPPRESSED, {}).items():
                    if check.startswith(CHECKOV):
                        yield (f"module.{module}.{kind}.{name}", check), reason
