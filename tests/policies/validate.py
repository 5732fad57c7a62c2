"""parliament over every policy that the project writes: `make policy`.

It knows each action, the resource types it works on and its condition keys, from a list that it brings. So it
finds what the embedded AWS can't refuse: an action that does not exist, or one that can't work on its
resource.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.deployment_roles import POLICIES, documents
from infra.deployment_roles.place import Place as DeployedPlace
from infra.policy import Statement, document
from infra.resources.suppression import CHECKOV, COMMENT, SUPPRESSED
from ops.console import print_error
from ops.dev.install import SetupError, install_tool
from ops.dev.policy import plans
from ops.rights import Place, of_commands
from tests.infra.terraform_json import Stack
from tests.policies.shipped import ACCOUNT, KEY_ARN, REGION, Policy, policies_of

# Runs in parliament's own folder: prints the findings of each policy of a JSON list of texts.
PROGRAM: Final = """
import json, sys
from parliament import analyze_policy_string
found = []
for text in json.load(sys.stdin):
    policy = analyze_policy_string(text, ignore_private_auditors=True)
    found.append([[each.issue, str(each.detail)] for each in policy.findings])
json.dump(found, sys.stdout)
"""
ROLE_POLICY: Final = "aws_iam_role_policy"


@dataclass(frozen=True)
class Validated:
    """A policy, and what parliament may find in it: the reason by the finding's name."""

    policy: Policy
    accepted: Mapping[str, str]


def main() -> int:
    """Validate, print a line for each fault, and return the exit code."""
    try:
        python = install_tool("iam") / "python"
    except SetupError as error:
        print_error(f"policy: {error}")
        return 1
    with tempfile.TemporaryDirectory(prefix="huntaze-iam-") as folder:
        policies = [*shipped(Path(folder)), *of_people()]
    faults = compared(policies, findings(python, [each.policy for each in policies]))
    for fault in faults:
        print_error(f"policy: {fault}")
    return 1 if faults else 0


def findings(python: Path, policies: Sequence[Policy]) -> list[list[tuple[str, str]]]:
    """Return what parliament finds in each policy: the name of the finding, and its detail."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps([policy.text for policy in policies]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[tuple[str, str]]] = json.loads(done.stdout)
    return found


def compared(policies: Sequence[Validated], found: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    """Return what was found without a reason, and each reason for what was not found."""
    faults = []
    # A role's rights are split into several policies.
    seen: dict[str, set[str]] = defaultdict(set)
    reasons: dict[str, Mapping[str, str]] = {}
    for one, issues in zip(policies, found, strict=True):
        name = one.policy.name
        reasons[name] = one.accepted
        seen[name] |= {issue for issue, _ in issues}
        faults += [
            f"{name}: {issue} {detail}: correct it, or accept it beside the statement with its reason"
            for issue, detail in issues
            if not one.accepted.get(issue, "").strip()
        ]
    return faults + [
        f"{name} no longer has {issue}: remove what accepts it"
        for name, accepted in reasons.items()
        for issue in sorted(set(accepted) - seen[name])
    ]


def shipped(folder: Path) -> Iterator[Validated]:
    """Yield the identity policies of every variant."""
    for module, stack in plans.synthesised_stacks(folder):
        read = Stack(module, json.loads((stack / plans.STACK).read_text()))
        for address, resource in read.of_type(ROLE_POLICY).items():
            accepted = _of_parliament(resource[COMMENT].get(SUPPRESSED, {}))
            (policy,) = (each for each in policies_of(read) if each.name == f"{module}/{address}")
            yield Validated(policy, accepted)


def of_people() -> Iterator[Validated]:
    """Yield the policies of operators' commands and of the deployment roles."""
    place = Place("prod", ACCOUNT, REGION, "aws.partner/stripe.com/ed_1", KEY_ARN)
    for command, statements in of_commands(place).items():
        yield _validated(f"`{command}`", document(*statements), statements)
    deployed = DeployedPlace(ACCOUNT, REGION, "prod", "huntaze-stripe-terraform-state")
    for part, rights in POLICIES.items():
        for text in documents(part, deployed):
            yield _validated(f"the role {part}", text, rights(deployed))


def _validated(name: str, text: str, statements: Sequence[Statement]) -> Validated:
    accepted = {issue: reason for each in statements for issue, reason in each.accepted.items()}
    return Validated(Policy("identity", name, text), _of_parliament(accepted))


def _of_parliament(reasons: Mapping[str, str]) -> dict[str, str]:
    return {issue: reason for issue, reason in reasons.items() if not issue.startswith(CHECKOV)}


if __name__ == "__main__":
    sys.exit(main())
