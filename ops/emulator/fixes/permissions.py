"""Calls are checked against the policies of the caller's role, of the resource and of its key.

MiniStack's evaluator decides. The fix corrects which action and resource AWS checks, adds the condition keys
that MiniStack leaves out, and the calls that a service makes to KMS with the caller's permission. Functions
have the credentials of their role, random ones for each run.

Sources: Service Authorization Reference (actions and resource types), and the API reference of each service
(status of an AccessDenied error).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import dynamodb, secretsmanager, sts

from ops.emulator import EmulatorError, key_use
from ops.emulator.patching import original, replace
from ops.emulator.permissions import DECISIONS, Call, Policy, Question, context_of
from ops.emulator.principals import role_limits, role_name, role_policies

Data = dict[str, Any]
Answer = tuple[int, Data, bytes]

# Operations that AWS authorizes as another action.
AUTHORIZED_AS: Final = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# Services with a JSON protocol answer 400, the others 403.
BAD_REQUEST: Final = 400
ANSWER_400: Final = frozenset(
    {"cloudcontrol", "dynamodb", "events", "kms", "logs", "secretsmanager", "tagging"}
)
RESOURCE_NAMES: Final = {
    "sqs": "queue",
    "sns": "topic",
    "s3": "bucket",
    "lambda": "function",
    "kms": "the key",
}

# The KMS action that the last call of this request lacked.
_lacking: ContextVar[str | None] = ContextVar("lacking", default=None)


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
    replace(
        iam_actions,
        "dynamodb_service_context",
        _with_leading_keys(original(iam_actions, "dynamodb_service_context")),
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
    del region
    _lacking.set(None)
    account = responses.get_account_id()
    checked = iam_evaluator.authenticate(access_key_id or "", account)
    if isinstance(checked, iam_evaluator.AuthError):
        return checked
    principal = iam_evaluator.resolve_principal(access_key_id or "", account, checked)
    if isinstance(principal, iam_evaluator.AuthError):
        return principal
    if principal.policies is None or iam_action in iam_evaluator._ALWAYS_ALLOWED_ACTIONS:
        return None
    action = AUTHORIZED_AS.get(iam_action, iam_action)
    resource = _named_resource(action, resource_arn)
    secure = str(iam_evaluator._request_origin.get()[1]).lower()
    keys = {"aws:SecureTransport": secure} | principal.keys | dict(service_context or {})
    role = role_name(principal.arn.rsplit("/", 1)[0])
    question = Question(
        Call(principal.arn, action, resource, context_of(keys)),
        role_policies(role),
        _resource_policy(service, resource),
        role_limits(role),
        "both" if service == "kms" else "either",
    )
    if DECISIONS.about(question):
        lacking = key_use.refused_for_role(question)
        if lacking is None:
            return None
        _lacking.set(lacking)
    return iam_evaluator.EvalResult("ImplicitDeny", principal.arn)


def _resource_policy(service: str, resource: str) -> Policy | None:
    found = iam_evaluator._resource_policy(service, resource)
    if found is None:
        return None
    document = found[0] if isinstance(found[0], str) else json.dumps(found[0] or {})
    name = resource.rsplit(":", 1)[-1].partition("/")[0]
    place = RESOURCE_NAMES.get(service, service)
    return Policy(place if service == "kms" else f"{place} {name}", document)


def _named_resource(action: str, arn: str) -> str:
    """Return the resource in the form in which AWS checks it."""
    service = action.partition(":")[0]
    if service == "secretsmanager":
        for secret in secretsmanager._secrets.values():
            if arn.endswith(f":secret:{secret['Name']}"):
                return str(secret["ARN"])
    if service == "kms" and ":alias/" in arn:
        return key_use.key_arn(arn) or arn
    if service == "logs" and ":log-group:" in arn and not arn.endswith("*"):
        # Policies name a log group by its ARN with ":*", which also matches its streams.
        return f"{arn}:*"
    return arn


def _with_leading_keys(context: Callable[[bytes], Data]) -> Callable[[bytes], Data]:
    """Add dynamodb:LeadingKeys: the partition keys of all items that the request names."""

    def dynamodb_service_context(body: bytes) -> Data:
        found = context(body)
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return found
        keys = [str(value) for table, item in _items(request) for value in _partition_key(table, item)]
        return found | ({"dynamodb:LeadingKeys": keys} if keys else {})

    return dynamodb_service_context


def _items(request: Any) -> list[tuple[str, Data]]:
    """Return table and key, or whole item, of everything that a request names."""
    found = []
    for member in ("Key", "Item"):
        if isinstance(request.get(member), dict):
            found.append((request.get("TableName", ""), request[member]))
    for entry in request.get("TransactItems") or []:
        for operation in entry.values():
            found += _items(operation)
    for table, wanted in (request.get("RequestItems") or {}).items():
        if isinstance(wanted, dict):
            found += [(table, key) for key in wanted.get("Keys") or []]
        else:
            for write in wanted:
                for operation in write.values():
                    found += _items({"TableName": table, **operation})
    return found


def _partition_key(table: str, item: Data) -> list[Any]:
    described = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    value = item.get(described["pk_name"]) if described else None
    return list(value.values()) if isinstance(value, dict) else []


def _as_the_service_answers(respond: Callable[..., Answer]) -> Callable[..., Answer]:
    """Answer with the status of the service, and name the KMS action that is lacking."""

    def access_denied_response(
        service: str, action: str, principal_arn: str, request_id: str, **options: Any
    ) -> Answer:
        lacking = _lacking.get()
        if lacking is not None:
            options["message"] = (
                f"User: {principal_arn} is not authorized to perform: {lacking} on the key of the resource "
                f"because no identity-based policy allows the {lacking} action"
            )
            if service == "sqs":
                options["error_code"] = "KmsAccessDenied"
        status, headers, body = respond(service, action, principal_arn, request_id, **options)
        return BAD_REQUEST if service in ANSWER_400 else status, headers, body

    return access_denied_response


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
