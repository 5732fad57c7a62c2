"""What the deploy role may do is enough for every variant of the stack, and for its resources alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra.deployment_roles import DEPLOY, POLICIES, Place, boundary, deploy, documents, trust
from infra.policy import Statement, document
from tests.documents import policy_statements
from tests.infra.conftest import EVERYTHING_ON, synthesise_into
from tests.infra.terraform_json import Stack
from tests.policies.shipped import ACCOUNT, REGION, Policy, policies_of

# By the second word of a resource type, where it is not the service's own prefix of actions.
SERVICES = {
    "cloudwatch_event": "events",
    "cloudwatch_log": "logs",
    "cloudwatch_query": "logs",
    "cloudcontrolapi": "cloudformation",
}
# AWS's quotas ("IAM and AWS STS quotas").
LONGEST_POLICY, MOST_POLICIES = 6144, 10
REPOSITORY = "huntaze/stripe"
DEPLOYED = {**EVERYTHING_ON, "DEPLOYING_REPOSITORY": REPOSITORY, "GITHUB_ENVIRONMENTS": "dev,prod"}
# Statements on "*", each because its actions have no resource level, or AWS chooses the name.
ON_ANYTHING = {
    "CheckNetwork",
    "CreateKey",
    "CreateMappings",
    "JoinNetwork",
    "ReadLists",
    "ReadNetwork",
    "SendTraces",
    "UseCloudControl",
    "WriteLists",
}
# What turns on resources or attributes that neither the shipped dev nor the others have.
ALONE = {
    "key": {"CREATE_KMS_KEY": "true"},
    "network": {key: EVERYTHING_ON[key] for key in ("AUDIT_SUBNET_IDS", "AUDIT_SECURITY_GROUP_IDS")},
    "bus logs": {"BUS_LOGS": "true", "LIVEMODE": "false"},
    "redrive": {"AUTO_REDRIVE": "true"},
    "reconcile": {"RECONCILE": "report"},
    "compaction": {"LEDGER_COMPACTION": "true"},
    "athena": {"ATHENA_TABLE": "true"},
}


@pytest.fixture(scope="module")
def deployed_outdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As of a repository that deploys dev and prod."""
    return synthesise_into(tmp_path_factory.mktemp("deployed"), DEPLOYED)


def known(text: str) -> str:
    """What Terraform makes of it in the tests' account."""
    account, partition = "aws_caller_identity.account_identity.account_id", "aws_partition.account_partition"
    return text.replace(f"${{data.{account}}}", ACCOUNT).replace(f"${{data.{partition}.partition}}", "aws")


def place(environment: str) -> Place:
    return Place(ACCOUNT, REGION, environment, "huntaze-stripe-terraform-state")


def service(resource_type: str) -> str:
    """The prefix of the actions that a resource of AWS is made by."""
    words = resource_type.removeprefix("aws_")
    return next((name for start, name in SERVICES.items() if words.startswith(start)), words.split("_")[0])


def roles(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.of_type("aws_iam_role").values())


def statements(*, with_boundary: bool = True) -> Iterator[Statement]:
    for policy in POLICIES.values():
        yield from policy(place("dev"))
    if with_boundary:
        yield from boundary(place("dev"))


def test_every_resource_is_of_a_service_that_deploy_may_change(secured: Stack) -> None:
    found = policy_statements(DEPLOY).values()
    allowed = {action.partition(":")[0] for statement in found for action in statement["Action"]}
    used = {service(name) for name in secured.document["resource"] if name.startswith("aws_")}
    assert {"events", "lambda", "iam", "cloudformation"} <= used
    assert used <= allowed


def test_every_role_of_the_stack_is_one_that_deploy_may_write(secured: Stack) -> None:
    pattern = place(secured.environment).roles
    assert roles(secured)
    for role in roles(secured):
        assert fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{role['name']}", pattern), role["name"]


def test_every_role_is_for_a_service_that_it_may_be_passed_to(secured: Stack) -> None:
    condition = policy_statements(DEPLOY)["PassRoles"]["Condition"]["StringEquals"]
    trusted = {
        statement["Principal"]["Service"]
        for role in roles(secured)
        for statement in json.loads(role["assume_role_policy"])["Statement"]
    }
    assert trusted == set(condition["iam:PassedToService"])


@pytest.mark.parametrize("part", POLICIES)
def test_a_role_for_github_is_out_of_reach_of_deploy(part: str) -> None:
    here = place("dev")
    arn = f"arn:aws:iam::{ACCOUNT}:role/{here.role_name(part)}"
    written = [s for s in deploy(here) if any(action.startswith("iam:") for action in s.actions)]
    assert len(written) >= 4
    for statement in written:
        assert not any(fnmatchcase(arn, pattern) for pattern in statement.resources), statement.sid


def test_no_policy_allows_a_pattern_of_actions_or_anything_without_a_reason() -> None:
    for statement in statements():
        assert not [action for action in statement.actions if "*" in action], statement.sid
        assert ("*" in statement.resources) == (statement.sid in ON_ANYTHING), statement.sid
        assert statement.effect == "Allow"


def test_every_arn_names_the_environment_or_says_why_it_cannot() -> None:
    unnamed = {
        "arn:aws:events:eu-west-1::event-source/aws.partner/stripe.com/*",
        "arn:aws:events:eu-west-1:123456789012:event-bus/aws.partner/stripe.com/*",
        "arn:aws:glue:eu-west-1:123456789012:catalog",
        "arn:aws:kms:eu-west-1:123456789012:key/*",
        "arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:*",
        "arn:aws:s3:::huntaze-stripe-terraform-state",
        "*",
    }
    for statement in statements():
        for resource in statement.resources:
            assert "dev" in resource or resource in unnamed, (statement.sid, resource)
        if any("key/*" in resource for resource in statement.resources):
            keys = statement.condition["StringEquals"]
            assert {"aws:ResourceTag/Environment", "aws:RequestTag/Environment", "kms:RequestAlias"} & set(
                keys
            )


@pytest.mark.parametrize("part", [*POLICIES, "boundary"])
@pytest.mark.parametrize("environment", ["dev", "a-name-of-16-chr"])
def test_every_policy_fits_into_the_quotas(part: str, environment: str) -> None:
    where = Place(ACCOUNT, "ap-southeast-1", environment, "b" * 63, "aws-us-gov")
    written = [document(*boundary(where))] if part == "boundary" else documents(part, where)
    assert all(len(text) <= LONGEST_POLICY for text in written)
    assert len(written) <= MOST_POLICIES


def test_every_role_of_the_stack_has_the_boundary(deployed_outdir: Path) -> None:
    found = roles(Stack.read(deployed_outdir, "huntaze-stripe-prod"))
    assert len(found) >= 5
    (arn,) = {role["permissions_boundary"] for role in found}
    assert known(arn) == place("prod").boundary_arn


def test_an_environment_that_github_does_not_deploy_has_no_boundary(deployed_outdir: Path) -> None:
    found = roles(Stack.read(deployed_outdir, "huntaze-stripe-staging"))
    assert len(found) >= 5
    assert not [role for role in found if "permissions_boundary" in role]


def made(bootstrap: Stack, kind: str) -> dict[str, Any]:
    """Resources of one type in the bootstrap stack, by the name of each in IAM."""
    return {each["name"]: each for each in bootstrap.of_type(kind).values()}


def test_bootstrap_makes_the_roles_of_the_documentation(deployed_outdir: Path) -> None:
    stack = Stack.read(deployed_outdir, "huntaze-stripe-bootstrap")
    made_roles, policies = made(stack, "aws_iam_role"), made(stack, "aws_iam_policy")
    attached = stack.of_type("aws_iam_role_policy_attachment").values()
    wanted = {"dev", "prod"}
    assert set(made_roles) == {place(name).role_name(part) for name in wanted for part in POLICIES}
    for environment in wanted:
        where = place(environment)
        assert known(policies.pop(where.role_name("boundary"))["policy"]) == document(*boundary(where))
        for part in POLICIES:
            role = made_roles[where.role_name(part)]
            assert known(role["assume_role_policy"]) == document(trust(part, where, REPOSITORY))
            assert set(role) == {"//", "name", "assume_role_policy", "depends_on"}
            texts = documents(part, where)
            names = [f"{where.role_name(part)}-{number}" for number in range(1, len(texts) + 1)]
            assert [known(policies.pop(name)["policy"]) for name in names] == texts
            address = f"${{aws_iam_role.github_{environment}_{part}.name}}"
            assert sum(each["role"] == address for each in attached) == len(texts)
    # And no other policy.
    assert policies == {}
    assert len(attached) == len({(each["role"], each["policy_arn"]) for each in attached})


def test_nobody_is_trusted_who_is_not_one_job(deployed_outdir: Path) -> None:
    stack = Stack.read(deployed_outdir, "huntaze-stripe-bootstrap")
    provider = stack.only("aws_iam_openid_connect_provider")
    assert provider["url"] == "https://token.actions.githubusercontent.com"
    assert provider["client_id_list"] == ["sts.amazonaws.com"]
    for role in stack.of_type("aws_iam_role").values():
        (statement,) = json.loads(role["assume_role_policy"])["Statement"]
        ((operator, keys),) = statement["Condition"].items()
        assert operator == "StringEquals"
        assert {key.rpartition(":")[2] for key in keys} == {"aud", "sub"}
        assert not [value for value in keys.values() if "*" in value]


def test_an_existing_provider_is_used_and_must_have_the_audience(tmp_path: Path) -> None:
    folder = synthesise_into(tmp_path, {**DEPLOYED, "GITHUB_OIDC_PROVIDER": "existing"})
    stack = Stack.read(folder, "huntaze-stripe-bootstrap")
    assert not stack.of_type("aws_iam_openid_connect_provider")
    (found,) = stack.document["data"]["aws_iam_openid_connect_provider"].values()
    assert found["url"] == "https://token.actions.githubusercontent.com"
    (check,) = found["lifecycle"]["postcondition"]
    assert check["condition"] == '${contains(self.client_id_list, "sts.amazonaws.com")}'
    assert {tuple(role["depends_on"]) for role in stack.of_type("aws_iam_role").values()} == {
        ("data.aws_iam_openid_connect_provider.github",)
    }


def test_without_the_setting_nothing_is_for_github(secured: Stack, bootstrap: Stack) -> None:
    assert not [role for role in roles(secured) if "permissions_boundary" in role]
    assert "github" not in json.dumps(bootstrap.document)


def _rights(policies: Iterator[Policy]) -> Iterator[tuple[str, str]]:
    for policy in policies:
        if policy.kind == "identity":
            for statement in policy.statements:
                for resource in statement["Resource"]:
                    yield from ((action, resource) for action in statement["Action"])


def test_the_boundary_covers_what_every_role_of_every_variant_may_do(secured: Stack) -> None:
    covered = [
        (action, pattern)
        for statement in boundary(place(secured.environment))
        for action in statement.actions
        for pattern in statement.resources
    ]
    rights = set(_rights(policies_of(secured)))
    assert len(rights) > 30
    for action, resource in rights:
        assert any(action == each and fnmatchcase(resource, pattern) for each, pattern in covered), (
            action,
            resource,
        )


def _attributes(folder: Path) -> set[tuple[str, str]]:
    """The types of resources of all stacks, each with its attributes."""
    return {
        (kind, attribute)
        for file in (folder / "stacks").glob("*/cdk.tf.json")
        for kind, resources in json.loads(file.read_text()).get("resource", {}).items()
        for resource in resources.values()
        for attribute in resource
    }


def test_what_one_setting_turns_on_everything_on_has_too(tmp_path: Path) -> None:
    """So the end-to-end tests, which deploy the stack with everything on and off, ask for all of it."""
    on = {**EVERYTHING_ON, "AUTO_REDRIVE": "true", "RECONCILE": "heal"}

    def attributes(name: str, settings: Mapping[str, str]) -> set[tuple[str, str]]:
        folder = tmp_path / name
        folder.mkdir()
        return _attributes(synthesise_into(folder, settings))

    everything = attributes("everything", on) | attributes("shipped", {})
    for name, settings in ALONE.items():
        assert attributes(name, settings) <= everything, name
