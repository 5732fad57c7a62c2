"""Calls are checked against the policies of the caller's role, of the resource and of its key.

MiniStack's evaluator decides. The fix corrects which action and resource AWS checks, adds the condition keys
that MiniStack leaves out, and the rights that a service checks beside the call's own: to pass a role, to tag
what is created, to use a key, and those of Cloud Control's handlers. Functions have the credentials of their
role, random ones for each run.

Sources: Service Authorization Reference (actions and resource types), and the API reference of each service
(status of an AccessDenied error).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import secretsmanager, sts

from ops.emulator import EmulatorError, key_use
from ops.emulator.condition_keys import own_keys, tags_of_key, with_leading_keys
from ops.emulator.controlled import HandlerError
from ops.emulator.fixes.cloud_control import ended
from ops.emulator.further_rights import Right, further_rights
from ops.emulator.named_resources import key_arn
from ops.emulator.patching import original, replace
from ops.emulator.permissions import DECISIONS, SESSION_POLICY, Call, Policy, Question, context_of
from ops.emulator.principals import role_limits, role_name, role_policies
from ops.emulator.requests import Asked, asked, lambda_action, with_resources

Data = dict[str, Any]
Answer = tuple[int, Data, bytes]

# Services with a JSON protocol answer 400, the others 403.
BAD_REQUEST: Final = 400
ANSWER_400: Final = frozenset(
    {"cloudcontrol", "dynamodb", "events", "glue", "kms", "logs", "secretsmanager", "tagging"}
)
RESOURCE_NAMES: Final = {
    "sqs": "queue",
    "sns": "topic",
    "s3": "bucket",
    "lambda": "function",
}


# The call for which the last request was refused: its own, or one that it needs besides.
_refusal: ContextVar[Question | None] = ContextVar("refusal", default=None)


def apply() -> None:
    """Replace the decision, and complete what it is asked.

    Raises
    ------
    EmulatorError
        MiniStack was loaded before AUTH was set: it would check nothing.
    """
    if not app.AUTH:
        raise EmulatorError("MiniStack checks no permissions: it was imported before AUTH=true was set")
    for name in (
        "authenticate",
        "resolve_principal",
        "evaluate",
        "combine_resource_policy",
        "_resource_policy",
    ):
        original(iam_evaluator, name)
    replace(iam_evaluator, "enforce", _enforce)
    # MiniStack's own table of Lambda's paths lacks many operations; the service's model has all.
    original(iam_actions, "_BOTOCORE_SERVICE_MAP")["lambda"] = ["lambda"]
    replace(iam_actions, "_lambda_action", lambda_action)
    replace(
        iam_actions, "extract_resource_arn", with_resources(original(iam_actions, "extract_resource_arn"))
    )
    replace(
        iam_actions,
        "dynamodb_service_context",
        with_leading_keys(original(iam_actions, "dynamodb_service_context")),
    )
    replace(
        iam_actions,
        "access_denied_response",
        _as_the_service_answers(original(iam_actions, "access_denied_response")),
    )
    replace(lambda_runtime, "execution_credentials", _execution_credentials)


def _enforce(
    access_key_id: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Mapping[str, Any] | None = None,
) -> Any:
    """Return None if the call is allowed, and the refusal otherwise; see MiniStack's `enforce`."""
    del service, region
    _refusal.set(None)
    account = responses.get_account_id()
    checked = iam_evaluator.authenticate(access_key_id or "", account)
    if isinstance(checked, iam_evaluator.AuthError):
        return checked
    principal = iam_evaluator.resolve_principal(access_key_id or "", account, checked)
    if isinstance(principal, iam_evaluator.AuthError):
        return principal
    if principal.policies is None or iam_action in iam_evaluator._ALWAYS_ALLOWED_ACTIONS:
        return None
    request = asked(iam_action, resource_arn)
    for right in _rights(request, principal.keys | dict(service_context or {})):
        refused = _refused(principal.arn, right, _session_policies(access_key_id))
        if refused is not None:
            _refusal.set(refused)
            return iam_evaluator.EvalResult("ImplicitDeny", principal.arn)
    return None


def _rights(request: Asked, keys: Mapping[str, Any]) -> Iterator[Right]:
    """Yield what a request needs: its own action on each of its resources, then the rest."""
    for resource in request.resources:
        named = _named_resource(request.action, resource)
        yield Right(request.action, named, {**keys, **own_keys(request.action, named, request.parameters)})
    yield from further_rights(request.action, request.resources[0], request.parameters)


def _refused(caller: str, right: Right, session: tuple[Policy, ...]) -> Question | None:
    """Return the call that is refused, which may be the one to the key of the resource; None if none is."""
    secure = str(iam_evaluator._request_origin.get()[1]).lower()
    service = right.action.partition(":")[0]
    keys = {"aws:SecureTransport": secure} | tags_of_key(right.resource) | dict(right.keys)
    role = role_name(caller.rsplit("/", 1)[0])
    question = Question(
        Call(caller, right.action, right.resource, context_of(keys)),
        role_policies(role),
        _resource_policy(service, right.resource),
        (*role_limits(role), *session),
        "both" if service == "kms" and ":key/" in right.resource else "either",
    )
    return key_use.refused_for_role(question) if DECISIONS.about(question) else question


def _session_policies(access_key_id: str) -> tuple[Policy, ...]:
    """Return the policy that was passed to AssumeRole, which narrows what the role may do."""
    passed = (sts._sessions.get(access_key_id) or {}).get("SessionPolicies") or {}
    text = passed.get("Policy")
    return (Policy(f"{SESSION_POLICY} of the caller", text),) if text else ()


def _resource_policy(service: str, resource: str) -> Policy | None:
    found = iam_evaluator._resource_policy(service, resource)
    if found is None:
        return None
    if service == "kms":
        return key_use.key_policy(resource)
    document = found[0] if isinstance(found[0], str) else json.dumps(found[0] or {})
    name = resource.rsplit(":", 1)[-1].partition("/")[0]
    return Policy(f"{RESOURCE_NAMES.get(service, service)} {name}", document)


def _named_resource(action: str, arn: str) -> str:
    """Return the resource in the form in which AWS checks it."""
    service = action.partition(":")[0]
    if service == "secretsmanager":
        for secret in secretsmanager._secrets.values():
            if arn.endswith(f":secret:{secret['Name']}"):
                return str(secret["ARN"])
    if service == "kms" and "alias/" in arn and not action.endswith("Alias"):
        return key_arn(arn)
    if service == "logs" and ":log-group:" in arn and not arn.endswith("*") and "Tag" not in action:
        # Policies name a log group by its ARN with ":*", which also matches its streams.
        return f"{arn}:*"
    return arn


def _as_the_service_answers(respond: Callable[..., Answer]) -> Callable[..., Answer]:
    """Answer with the status of the service, and name the right that is lacking besides the action."""

    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **options: Any
    ) -> Answer:
        refused = _refusal.get()
        if refused is not None:
            options["message"] = f"{refused.call.described()} {refused.reason()}"
            other = refused.call.action != asked(action, "*").action
            if (
                other
                and action.startswith("cloudformation:")
                and (event := _ended(action, options["message"]))
            ):
                return event
            if other and service == "sqs":
                options["error_code"] = "KmsAccessDenied"
        status, headers, body = respond(service, action, principal_arn, request_id, **options)
        return BAD_REQUEST if service in ANSWER_400 else status, headers, body

    return access_denied_response


def _ended(action: str, message: str) -> Answer | None:
    """Return how a request of Cloud Control ends whose handler is refused a call; None for one that reads."""
    request = asked(action, "*")
    operation = {"CreateResource": "CREATE", "UpdateResource": "UPDATE", "DeleteResource": "DELETE"}.get(
        action.partition(":")[2]
    )
    refusal = HandlerError("AccessDenied", message)
    identifier = request.parameters.get("Identifier")
    return ended(dict(request.parameters), operation, identifier, refusal) if operation else None


def _execution_credentials(config: Data) -> dict[str, str]:
    """Return the credentials of a function's role; the same for all its processes until the role changes."""
    role, name = config.get("Role", ""), config.get("FunctionName", "")
    account, _region = lambda_runtime._account_region_from_function_config(config)
    arn = f"arn:aws:sts::{account}:assumed-role/{role_name(role)}/{name}"
    for key, session in sts._sessions.items():
        if session.get("Arn") == arn:
            return _variables(key, session)
    key = f"ASIA{secrets.token_hex(8).upper()}"
    session = {
        "Arn": arn,
        "UserId": f"{role_name(role)}:{name}",
        "SecretAccessKey": secrets.token_hex(20),
        "SessionToken": secrets.token_hex(32),
    }
    sts.register_session(key, session)
    return _variables(key, session)


def _variables(key: str, session: Mapping[str, str]) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
