"""Who may do what: the decisions about calls, the statements that decided, and a log of refusals.

MiniStack's evaluator decides (`ministack.core.iam_evaluator`). This module remembers which statements each
distinct call needs: those without which the decision would be the opposite.

Source: IAM user guide, "Policy evaluation logic"; KMS developer guide, "Key policies in AWS KMS".
"""

from __future__ import annotations

import functools
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from ministack.core import iam_evaluator, responses

logger = logging.getLogger(__name__)

Context = tuple[tuple[str, str | tuple[str, ...]], ...]
ALLOW: Final = "Allow"
DENY: Final = "Deny"
SESSION_POLICY: Final = "session policy"
# Condition keys whose values differ from call to call and whose sameness says nothing.
OF_ONE_CALL: Final = ("dynamodb:leadingkeys",)
# An object's key differs in each call; its first folder and its suffix are what policies name.
OBJECT_ARN: Final = "arn:aws:s3:::"


@dataclass(frozen=True)
class Policy:
    """A policy document, and where a reader finds it, for example `role huntaze-stripe-audit-dev`."""

    place: str
    document: str

    def statements(self) -> list[dict[str, Any]]:
        """Return its statements; none if it is empty or not JSON."""
        try:
            found = json.loads(self.document or "{}").get("Statement", [])
        except ValueError:
            return []
        return [found] if isinstance(found, dict) else list(found)

    def without(self, number: int) -> Policy:
        """Return it without one statement."""
        left = [each for index, each in enumerate(self.statements()) if index != number]
        return self._with(left)

    def without_parts(self, number: int) -> Iterator[tuple[str, Policy]]:
        """Yield each of several resources or services of a statement, and the policy without it."""
        statement = self.statements()[number]
        for value in _several(statement.get("Resource")):
            left = [each for each in statement["Resource"] if each != value]
            yield value, self._with([{**statement, "Resource": left}], number)
        principal = statement.get("Principal")
        principal = principal if isinstance(principal, dict) else {}
        for value in _several(principal.get("Service")):
            services = [each for each in principal["Service"] if each != value]
            yield value, self._with([{**statement, "Principal": {**principal, "Service": services}}], number)

    def _with(self, statements: list[dict[str, Any]], in_place_of: int | None = None) -> Policy:
        if in_place_of is not None:
            before = self.statements()
            statements = [*before[:in_place_of], *statements, *before[in_place_of + 1 :]]
        return Policy(self.place, json.dumps({"Version": "2012-10-17", "Statement": statements}))


@dataclass(frozen=True)
class Call:
    """A call that needs a permission.

    Parameters
    ----------
    caller
        The ARN of a role's session, or the name of an AWS service, such as events.amazonaws.com.
    context
        The condition keys of the request in lower case, sorted.
    """

    caller: str
    action: str
    resource: str
    context: Context = ()

    @property
    def is_by_service(self) -> bool:
        """Whether an AWS service calls under its own name."""
        return not self.caller.startswith("arn:")

    def described(self) -> str:
        """Return the call as AWS words it in a refusal."""
        who = "Service" if self.is_by_service else "User"
        return (
            f"{who}: {self.caller} is not authorized to perform: {self.action} on resource: {self.resource}"
        )


# Who must allow: one policy of either side, or both (KMS).
Rule = Literal["either", "both"]


@dataclass(frozen=True)
class Question:
    """A call with the policies that decide about it.

    Parameters
    ----------
    identity
        The policies of the caller's role; none for a service.
    resource
        The policy of the resource that it calls, if that has one.
    limits
        Permissions boundary and session policies: each must allow, too.
    """

    call: Call
    identity: tuple[Policy, ...] = ()
    resource: Policy | None = None
    limits: tuple[Policy, ...] = ()
    rule: Rule = "either"

    def is_allowed(self) -> bool:
        """Decide."""
        context = _evaluated(self.call)
        if self.call.is_by_service:
            document = self.resource.document if self.resource else None
            answer = iam_evaluator.evaluate_resource_policy(document, context, service=self.call.caller)
            return bool(answer.decision == ALLOW)
        limits = [[_parsed(each.document)] for each in self.limits]
        identity = iam_evaluator.evaluate(
            context, [_parsed(each.document) for each in self.identity], *limits
        )
        if self.resource is None:
            return bool(identity.decision == ALLOW)
        account = context.principal_account
        answer = iam_evaluator.combine_resource_policy(
            identity,
            context,
            self.resource.document,
            account,
            required=self.rule == "both",
            limits=tuple(limits),
        )
        return bool(answer.decision == ALLOW)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Return all policies that count."""
        return (*self.identity, *self.limits, *([self.resource] if self.resource else []))

    def deciding(self) -> Iterator[tuple[str, str, str]]:
        """Yield what the decision rests on: without it, the decision would be the opposite.

        Each is the place of a policy, the Sid of a statement, and which of several resources or services of
        the statement; empty for the statement as a whole.
        """
        allowed = decided(self)
        for policy in self.policies:
            for number, statement in enumerate(policy.statements()):
                if not _concerns(statement, self.call.action):
                    continue
                if self._is_turned_by(policy, policy.without(number), allowed):
                    sid = statement.get("Sid", "")
                    yield policy.place, sid, ""
                    for value, other in policy.without_parts(number):
                        if self._is_turned_by(policy, other, allowed):
                            yield policy.place, sid, value

    def _is_turned_by(self, before: Policy, after: Policy, allowed: bool) -> bool:
        return self._replacing(before, after).is_allowed() != allowed

    def _replacing(self, before: Policy, after: Policy) -> Question:
        def swapped(policies: Sequence[Policy]) -> tuple[Policy, ...]:
            return tuple(after if each is before else each for each in policies)

        resource = after if self.resource is before else self.resource
        return Question(self.call, swapped(self.identity), resource, swapped(self.limits), self.rule)

    def reason(self) -> str:
        """Return why the call is refused, as AWS words it."""
        side = self._refusing()[0]
        if side.decision == DENY:
            return f"with an explicit deny in {side.article} {side.kind}"
        return f"because no {side.kind} allows the {self.call.action} action"

    def advice(self) -> str:
        """Return which statement denies a refused call, or what would have allowed it."""
        refusing = self._refusing()
        if refusing[0].decision == DENY:
            return f"denied by {refusing[0].place}, statement {refusing[0].sid}"
        places = (" and " if self.rule == "both" else " or ").join(side.place for side in refusing)
        near = [
            f"{policy.place}, statement {each.get('Sid')}, allows it only on {_joined(each.get('Resource'))}"
            f"{' if ' + json.dumps(each['Condition']) if 'Condition' in each else ''}"
            for side in refusing
            for policy in side.policies
            for each in policy.statements()
            if each.get("Effect") == ALLOW and _names(each, self.call.action)
        ]
        return "; ".join([f"needs {self.call.action} on {self.call.resource} in {places}", *near])

    def _refusing(self) -> list[_Side]:
        """Return the side that denies a refused call, or those of which one, or each, must allow it."""
        sides = self._sides()
        denying = [side for side in sides if side.decision == DENY]
        if denying:
            return denying
        limits = [side for side in sides if side.is_limit and side.decision != ALLOW]
        granting = [side for side in sides if not side.is_limit]
        if self.rule == "either" and any(side.decision == ALLOW for side in granting):
            return limits
        return [side for side in granting if side.decision != ALLOW] or limits

    def _sides(self) -> list[_Side]:
        context = _evaluated(self.call)
        sides = []
        if not self.call.is_by_service:
            found = iam_evaluator.evaluate(context, [_parsed(each.document) for each in self.identity])
            role = f"role {_role(self.call.caller).rpartition('/')[2]}"
            sides.append(
                _Side("identity-based policy", role, self.identity, found.decision, found.matched_sid)
            )
        if self.resource is not None:
            service = self.call.caller if self.call.is_by_service else None
            found = iam_evaluator.evaluate_resource_policy(self.resource.document, context, service=service)
            place, policies = self.resource.place, (self.resource,)
            sides.append(_Side("resource-based policy", place, policies, found.decision, found.matched_sid))
        for limit in self.limits:
            found = iam_evaluator.evaluate(context, [_parsed(limit.document)])
            kind = SESSION_POLICY if limit.place.startswith(SESSION_POLICY) else "permissions boundary"
            sides.append(_Side(kind, limit.place, (limit,), found.decision, found.matched_sid, is_limit=True))
        return sides


@dataclass(frozen=True)
class _Side:
    """What the policies of one kind say about a call; a limit only narrows what others allow."""

    kind: str
    place: str
    policies: tuple[Policy, ...]
    decision: str
    sid: str
    is_limit: bool = False

    @property
    def article(self) -> str:
        return "an" if self.kind.startswith("i") else "a"


@dataclass
class Decisions:
    """Every distinct call so far: what it needs, and the refused ones."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _needs: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def about(self, question: Question) -> bool:
        """Decide about a call, remember it, and log the first of equal refusals."""
        allowed = decided(question)
        call = question.call
        context = tuple(each for each in call.context if each[0] not in OF_ONE_CALL)
        distinct = (_role(call.caller), call.action, _without_key(call.resource), context)
        key = (*distinct, allowed, question.policies)
        with self._lock:
            known = self._needs.get(key)
            if known is not None:
                known["calls"] += 1
        if known is None:
            row: dict[str, Any] = {
                "caller": _role(call.caller),
                "action": call.action,
                "resource": call.resource,
                "allowed": allowed,
                "needs": sorted(question.deciding()),
                "context": dict(call.context),
                "calls": 0,
            }
            if not allowed:
                row["advice"] = question.advice()
                logger.warning("refused: %s; %s", call.described(), row["advice"])
            with self._lock:
                # Another thread may have been faster with the same call.
                self._needs.setdefault(key, row)["calls"] += 1
        return allowed

    def listed(self) -> list[dict[str, Any]]:
        """Return one row a distinct call.

        A row has caller, action, resource, context, allowed, calls (how many), needs (what the decision rests
        on: see `Question.deciding`), and for a refused call the advice.
        """
        with self._lock:
            return [dict(row) for row in self._needs.values()]


@functools.lru_cache(maxsize=16_384)
def decided(question: Question) -> bool:
    """Decide, and remember the decision: most calls of a run are repetitions."""
    return question.is_allowed()


DECISIONS: Final = Decisions()


def context_of(keys: Mapping[str, Any]) -> Context:
    """Return condition keys in the form of a call."""
    return tuple(
        sorted(
            (name.lower(), tuple(map(str, value)) if isinstance(value, list | tuple) else str(value))
            for name, value in keys.items()
            if value is not None
        )
    )


def _evaluated(call: Call) -> iam_evaluator.EvalContext:
    keys = {name: list(value) if isinstance(value, tuple) else value for name, value in call.context}
    secure = keys.pop("aws:securetransport", "true")
    account = responses.get_account_id()
    return iam_evaluator.EvalContext(
        # A service belongs to no account: only "*" or its own name matches it.
        principal_arn="*" if call.is_by_service else call.caller,
        principal_type="Service" if call.is_by_service else "AssumedRole",
        principal_account="" if call.is_by_service else account,
        action=call.action,
        resource_arn=call.resource,
        region=responses.get_region(),
        secure_transport=secure == "true",
        service_context={"aws:tagkeys": None} | keys,
    )


@functools.lru_cache(maxsize=1024)
def _parsed(document: str) -> Any:
    """Return the statements of a document for the evaluator, which changes nothing in them."""
    return iam_evaluator.parse_policy_document(document)


def _several(values: Any) -> list[str]:
    return values if isinstance(values, list) and len(values) > 1 else []


def _joined(values: Any) -> str:
    return values if isinstance(values, str) else ", ".join(values or ["nothing"])


def _concerns(statement: Mapping[str, Any], action: str) -> bool:
    """Whether a decision about an action can rest on a statement: most name other actions."""
    return not statement.get("Action") or _names(statement, action)


def _names(statement: Mapping[str, Any], action: str) -> bool:
    actions = statement.get("Action", [])
    return any(
        iam_evaluator.fnmatch_iam(action, each)
        for each in ([actions] if isinstance(actions, str) else actions)
    )


def _role(caller: str) -> str:
    """Return the caller without the name of its session."""
    return caller.rsplit("/", 1)[0] if ":assumed-role/" in caller else caller


def _without_key(resource: str) -> str:
    if not resource.startswith(OBJECT_ARN):
        return resource
    bucket, _, key = resource.partition("/")
    return f"{bucket}/{key.partition('/')[0]}/*{PurePosixPath(key).suffix}" if key else bucket
