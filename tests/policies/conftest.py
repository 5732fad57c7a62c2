"""The shipped policies, synthesised once, and the size of the comparison."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest

from tests.infra.conftest import EVERYTHING_ON, jsii, synthesise_into
from tests.infra.terraform_json import Stack
from tests.policies.shipped import Policy, documented_policies, policies_of

__all__ = ["jsii"]

# prod's shipped settings have the automatic redrive and the reconciliation; dev has neither.
VARIANTS: Final = {
    "default": {},
    "key": {"CREATE_KMS_KEY": "true"},
    "network": {key: EVERYTHING_ON[key] for key in ("AUDIT_SUBNET_IDS", "AUDIT_SECURITY_GROUP_IDS")},
    "bus logs": {"BUS_LOGS": "true", "LIVEMODE": "false"},
    "everything": EVERYTHING_ON,
}


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    """Every stack of every variant."""
    made = {}
    for variant, settings in VARIANTS.items():
        folder = synthesise_into(tmp_path_factory.mktemp("policies"), settings)
        for stack in sorted((folder / "stacks").iterdir()):
            made[f"{variant}: {stack.name}"] = Stack.read(folder, stack.name)
    return made


@pytest.fixture(scope="session")
def shipped(stacks: dict[str, Stack]) -> list[Policy]:
    """Every policy of every stack and of docs/deployment-roles.md, each once."""

    def read() -> Iterator[Policy]:
        for stack in stacks.values():
            yield from policies_of(stack)
        yield from documented_policies()

    return list({policy.text: policy for policy in read()}.values())


@pytest.fixture(scope="session")
def seed() -> int:
    return int(os.environ.get("POLICY_SEED", "1"))


@pytest.fixture(scope="session")
def count() -> int:
    return int(os.environ.get("POLICY_REQUESTS", "3000"))
