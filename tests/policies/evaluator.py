"""Ask MiniStack's evaluator, with and without our fix of it, and the embedded AWS, which asks it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, get_args
from unittest import mock

from ministack.core import iam_evaluator, responses

from ops.emulator.fixes import FIXES
from ops.emulator.permissions import Call, Policy, Question, context_of
from tests.policies.request import MULTIVALUED, SOURCE_IP, Decision, Request, document
from tests.policies.shipped import ACCOUNT, REGION

FIX = "policy-evaluation"


@contextmanager
def evaluator(*, fixed: bool) -> Iterator[None]:
    """Provide MiniStack's evaluator as it comes, or with our fix, and put it back afterwards."""
    before = dict(vars(iam_evaluator))
    operators = dict(iam_evaluator._CONDITION_OPS)
    # Another test of this process may have applied the fix.
    importlib.reload(iam_evaluator)
    if fixed:
        next(fix for fix in FIXES if fix.name == FIX).apply()
    try:
        yield
    finally:
        vars(iam_evaluator).update(before)
        iam_evaluator._CONDITION_OPS.clear()
        iam_evaluator._CONDITION_OPS.update(operators)


def decide(request: Request, ignored: Collection[str] = ()) -> Decision:
    """Return MiniStack's decision, without the context keys that are ignored (in lower case)."""
    context = _given(request, ignored)
    if request.principal.kind == "Service":
        return _of_service(request, context)
    return _trust(request, context) if request.trust else _enforced(request, context)


def allows(request: Request, ignored: Collection[str] = ()) -> bool:
    """Return what the embedded AWS, which has one account, says to a role's session or a service."""
    keys = {"aws:SecureTransport": str(request.secure).lower()} | _given(request, ignored)
    responses.set_request_account_id(ACCOUNT)
    responses.set_request_region(REGION)
    iam_evaluator.pin_request_origin(SOURCE_IP, request.secure)
    attached = Policy("resource", json.dumps(document(request.attached))) if request.attached else None
    return Question(
        Call(request.principal.arn, request.action, request.resource, context_of(keys)),
        tuple(Policy("role", json.dumps(document(policy))) for policy in request.identity),
        attached,
        tuple(Policy("limit", json.dumps(document(p))) for p in (request.boundary, request.session) if p),
        "both" if request.action.startswith("kms:") else "either",
    ).is_allowed()


def _given(request: Request, ignored: Collection[str]) -> dict[str, Any]:
    return {
        key.lower(): [value] if key.lower() in MULTIVALUED and isinstance(value, str) else value
        for key, value in request.context.items()
        if key.lower() not in ignored
    }


def _context(request: Request, keys: dict[str, Any], account: str) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        principal_arn="*" if request.principal.kind == "Service" else request.principal.arn,
        principal_type=request.principal.kind,
        principal_account=account,
        action=request.action,
        resource_arn=request.resource,
        region=REGION,
        source_ip=SOURCE_IP,
        secure_transport=request.secure,
        service_context=keys,
    )


def _of_service(request: Request, keys: dict[str, Any]) -> Decision:
    """As `queue_policy_allows` of MiniStack's SQS and its twin in SNS ask."""
    context = _context(request, keys, "")
    policy = document(request.attached or [])
    return _decision(
        iam_evaluator.evaluate_resource_policy(policy, context, service=request.principal.name).decision
    )


def _trust(request: Request, keys: dict[str, Any]) -> Decision:
    """As MiniStack's STS asks."""
    context = _context(request, keys, request.principal.account)
    allowed = iam_evaluator.evaluate_trust_policy(
        document(request.attached or []), request.principal.arn, context
    )
    return "Allow" if allowed else "ImplicitDeny"


def _enforced(request: Request, keys: dict[str, Any]) -> Decision:
    """As each call of the embedded AWS is asked about; only what is stored there is given instead."""
    parse = iam_evaluator.parse_policy_document
    limits = [
        [parse(document(policy))] for policy in (request.boundary, request.session) if policy is not None
    ]
    principal = iam_evaluator.PrincipalInfo(
        arn=request.principal.arn,
        type=request.principal.kind,
        account=request.principal.account,
        policies=[parse(document(policy)) for policy in request.identity],
        limits=limits,
    )
    service = request.action.partition(":")[0]
    policy = "" if request.attached is None else document(request.attached)
    attached = (policy, request.owner) if service in iam_evaluator._RESOURCE_POLICY_LOOKUPS else None
    iam_evaluator.pin_request_origin(SOURCE_IP, request.secure)
    with (
        mock.patch.object(iam_evaluator, "resolve_principal", return_value=principal),
        mock.patch.object(iam_evaluator, "_resource_policy", return_value=attached),
    ):
        refused = iam_evaluator.enforce("AKIA", request.action, service, REGION, request.resource, keys)
    return "Allow" if refused is None else _decision(refused.decision)


def _decision(text: str) -> Decision:
    return next(each for each in get_args(Decision) if each == text)
