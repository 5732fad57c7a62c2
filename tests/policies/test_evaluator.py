"""MiniStack's evaluator of policies, with our fix, decides as an independent one does."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import pytest

from tests.infra.terraform_json import Stack
from tests.policies import oracle
from tests.policies.catalogue import CALLING, KEYS, OPERATORS, RESOURCES
from tests.policies.differences import CORRECTED, LIMITS, Corrected
from tests.policies.evaluator import allows, decide, evaluator
from tests.policies.generator import Generator
from tests.policies.mutations import as_list
from tests.policies.oracle import Answer
from tests.policies.request import Decision, Principal, Request
from tests.policies.shipped import ACCOUNT, Policy, policies_of, statements_declared

ELEMENTS: Final = {"Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"}
ENCRYPTION_CONTEXT: Final = "kms:encryptioncontext:aws:"
# Of all requests, at least so many must end in each decision, or the comparison says little.
LEAST_SHARE: Final = 0.05
# Of all requests, at most so many may be invalid for AWS.
INVALID_SHARE: Final = 0.01


@pytest.fixture(scope="module")
def answered(shipped: list[Policy], seed: int, count: int) -> list[tuple[Request, Answer]]:
    """Requests, with the oracle's answers to them."""
    requests = Generator(seed, shipped).requests(count)
    return list(zip(requests, oracle.decide(requests), strict=True))


def expected(request: Request, answer: Answer) -> Decision:
    """What the oracle decides; of a trust policy, what it alone says, as MiniStack is asked about it."""
    assert answer.decision is not None
    if request.trust and request.principal.kind != "Service":
        return "Allow" if answer.attached in ("Allowed", "AllowedForAccount") else "ImplicitDeny"
    return answer.decision


def differing(answered: Sequence[tuple[Request, Answer]], *, fixed: bool) -> list[tuple[Request, str]]:
    """The requests that are decided differently, with what each side says."""
    found = []
    with evaluator(fixed=fixed):
        for request, answer in answered:
            if answer.decision is not None:
                decisions = decide(request, answer.ignored), expected(request, answer)
                if decisions[0] != decisions[1]:
                    found.append((request, "MiniStack decides {}, the oracle {}".format(*decisions)))
    return found


def test_every_statement_of_every_stack_is_read(stacks: dict[str, Stack]) -> None:
    for name, stack in stacks.items():
        read = sum(len(policy.statements) for policy in policies_of(stack))
        assert read == statements_declared(stack) > 0, name


def test_shipped_policies_use_only_what_is_compared(shipped: list[Policy]) -> None:
    keys = {key.lower() for key in KEYS}
    operators = {"Null", *(name for names in OPERATORS.values() for name in names)}
    for policy in shipped:
        for statement in policy.statements:
            assert set(statement) <= ELEMENTS, policy.name
            for operator, conditions in statement.get("Condition", {}).items():
                assert operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:") in operators, (
                    policy.name
                )
                for key in conditions:
                    assert key.lower() in keys or key.lower().startswith(ENCRYPTION_CONTEXT), (
                        policy.name,
                        key,
                    )


def test_evaluators_agree_on_generated_requests(answered: list[tuple[Request, Answer]], seed: int) -> None:
    differences = [
        f"{said}: {json.dumps(asdict(request))}"
        for request, said in differing(answered, fixed=True)
        if not any(limit.holds(request) for limit in LIMITS.values())
    ]
    assert not differences, f"{len(differences)} requests of seed {seed}, the first: {differences[0]}"


def is_asked_of_the_emulator(request: Request) -> bool:
    """Whether the embedded AWS meets such requests: of its account's roles, and of services."""
    principal = request.principal
    of_role = principal.kind == "AssumedRole" and principal.account == ACCOUNT and not request.trust
    return of_role or principal.kind == "Service"


def test_the_embedded_aws_agrees_about_roles_and_services(answered: list[tuple[Request, Answer]]) -> None:
    compared = 0
    with evaluator(fixed=True):
        for request, answer in answered:
            limited = any(limit.holds(request) for limit in LIMITS.values())
            if answer.decision is not None and not limited and is_asked_of_the_emulator(request):
                agreed = allows(request, answer.ignored) == (answer.decision == "Allow")
                assert agreed, json.dumps(asdict(request))
                compared += 1
    assert compared > len(answered) / 2


def test_generated_requests_say_something(answered: list[tuple[Request, Answer]]) -> None:
    refusals = Counter(answer.refusal for _, answer in answered if answer.decision is None)
    assert refusals.total() <= INVALID_SHARE * len(answered), refusals.most_common(3)
    decisions = Counter(
        expected(request, answer) for request, answer in answered if answer.decision is not None
    )
    for decision in ("Allow", "Deny", "ImplicitDeny"):
        assert decisions[decision] >= LEAST_SHARE * len(answered), decisions


def test_generated_requests_find_that_the_fix_is_needed(answered: list[tuple[Request, Answer]]) -> None:
    assert len(differing(answered, fixed=False)) > len(differing(answered, fixed=True))


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_of_the_oracle_is_still_there(name: str) -> None:
    """A limit that its example no longer shows is to be removed."""
    limit = LIMITS[name]
    assert limit.holds(limit.example)
    (answer,) = oracle.decide([limit.example])
    assert differing([(limit.example, answer)], fixed=True), limit.reason


@pytest.mark.parametrize("name", CORRECTED)
def test_fix_corrects_what_ministack_decides_wrongly(name: str) -> None:
    corrected: Corrected = CORRECTED[name]
    (answer,) = oracle.decide([corrected.request])
    assert expected(corrected.request, answer) == corrected.expected
    with evaluator(fixed=True):
        assert decide(corrected.request) == corrected.expected
    with evaluator(fixed=False):
        assert decide(corrected.request) != corrected.expected


def service_requests(policies: Sequence[Policy]) -> Iterator[Request]:
    """For each action that a shipped statement allows to a service, the request that satisfies it."""
    for policy in policies:
        for statement in policy.statements:
            named = statement.get("Principal")
            if not isinstance(named, dict) or "Service" not in named:
                continue
            context: dict[str, Any] = {
                key: as_list(value)[0].replace("*", "x")
                for keys in statement.get("Condition", {}).values()
                for key, value in keys.items()
            }
            for service in as_list(named["Service"]):
                for action in as_list(statement["Action"]):
                    resource = _resource(policy, statement, action)
                    principal = Principal("Service", "", service)
                    yield Request(principal, action, resource, ACCOUNT, context, attached=policy.statements)


def _resource(policy: Policy, statement: dict[str, Any], action: str) -> str:
    if policy.kind == "trust":
        return RESOURCES["role"][0]
    if policy.kind == "key":
        return RESOURCES["key"][0]
    arn: str = as_list(statement["Resource"])[0]
    return arn.replace(":*", ":log-stream:1")


def test_a_service_may_do_what_a_policy_says_and_nothing_near_it(shipped: list[Policy]) -> None:
    """Another source, account, encryption context or service, no such key, or plain text: refused."""
    allowed = list(service_requests(shipped))
    assert {request.principal.name for request in allowed} >= {
        "events.amazonaws.com",
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "logs.eu-west-1.amazonaws.com",
    }
    refused = []
    for request in allowed:
        refused.append(replace(request, principal=next(p for p in CALLING if p.name == "s3.amazonaws.com")))
        if any(statement["Effect"] == "Deny" for statement in request.attached or ()):
            refused.append(replace(request, secure=False))
        for key, value in request.context.items():
            other = copy.copy(request.context)
            other[key] = str(value).replace(ACCOUNT, "210987654321")
            refused.append(replace(request, context=other))
            refused.append(replace(request, context={k: v for k, v in request.context.items() if k != key}))
    assert len(refused) > len(allowed) > 0
    with evaluator(fixed=True):
        for request in allowed:
            assert decide(request) == "Allow", request
        for request in refused:
            assert decide(request) != "Allow", request
    assert {answer.decision for answer in oracle.decide(allowed)} == {"Allow"}
    assert {answer.decision for answer in oracle.decide(refused)} <= {"Deny", "ImplicitDeny"}
