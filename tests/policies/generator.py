"""Make requests at random over the shipped policies and over changed ones; a seed always gives the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from tests.policies.catalogue import (
    ACTIONS,
    CALLING,
    KEYS,
    NOT_SET,
    OTHER_ACCOUNT,
    PRINCIPALS,
    PROVIDERS,
    RESOURCES,
    ROOTS,
    SERVICES,
    WITH_POLICY,
)
from tests.policies.mutations import (
    MUTATIONS,
    as_list,
    random_action,
    random_condition,
    random_principal,
    random_resource,
    swapped,
)
from tests.policies.request import MULTIVALUED, Principal, Request, Statements
from tests.policies.shipped import ACCOUNT, Policy


class Generator:
    """Requests of one seed."""

    def __init__(self, seed: int, policies: Sequence[Policy]) -> None:
        self.random = Random(seed)  # noqa: S311 # a test's choices must repeat, not be secret
        self.of_kind = {
            kind: [p for p in policies if p.kind == kind] for kind in ("identity", "resource", "key", "trust")
        }

    def requests(self, count: int) -> list[Request]:
        makers = [self._of_principal] * 5 + [self._of_service] * 3 + [self._of_key] * 2 + [self._of_trust] * 2
        return [self.random.choice(makers)() for _ in range(count)]

    def _of_principal(self) -> Request:
        """A user or a role's session asks, under its own policies and perhaps the resource's."""
        identity = self._policy("identity")
        kind, action, resource = self._target(identity)
        attached = self._attached(kind, action, resource) if kind == "key" or self._chance(0.5) else None
        boundary, session = (self._limit(action, resource) if self._chance(0.12) else None for _ in range(2))
        principal = self.random.choice(PRINCIPALS if self._chance(0.3) else PRINCIPALS[:2])
        if kind not in WITH_POLICY:
            attached, principal = None, self.random.choice(PRINCIPALS[:3])
        return self._request(
            principal,
            action,
            resource,
            (identity, *self._more(action, resource)),
            attached,
            boundary,
            session if principal.kind == "AssumedRole" else None,
        )

    def _of_service(self) -> Request:
        """A service asks, under the policy of the resource alone."""
        statements = self._policy("key" if self._chance(0.3) else "resource")
        _, action, resource = self._target(statements)
        named = [
            principal
            for statement in statements
            if isinstance(statement.get("Principal"), dict)
            for principal in CALLING
            if principal.name in as_list(statement["Principal"].get("Service", []))
        ]
        principal = self.random.choice(named if named and self._chance(0.7) else CALLING)
        return self._request(principal, action, resource, (), statements)

    def _of_key(self) -> Request:
        """A user or a role's session uses a key: the key policy must allow it."""
        attached = self._policy("key")
        action = f"kms:{self.random.choice(ACTIONS['key'])}"
        resource = self.random.choice(RESOURCES["key"])
        identity = self._generated(action, resource) if self._chance(0.7) else self._policy("identity")
        boundary = self._limit(action, resource) if self._chance(0.1) else None
        return self._request(
            self.random.choice(PRINCIPALS), action, resource, (identity,), attached, boundary
        )

    def _of_trust(self) -> Request:
        """A principal of each kind assumes a role."""
        attached = self._policy("trust")
        federated = "WebIdentity" in str(attached) or self._chance(0.2)
        action = "sts:AssumeRoleWithWebIdentity" if federated else "sts:AssumeRole"
        candidates = PROVIDERS if federated else (*CALLING, *PRINCIPALS, *ROOTS)
        named = [p for p in candidates if f'"{p.arn}"' in str(attached).replace("'", '"')]
        principal = self.random.choice(named if named and self._chance(0.7) else candidates)
        for statement in attached:
            if self._chance(0.2):
                statement["Principal"] = random_principal(self.random)
        role = self.random.choice(RESOURCES["role"])
        identity = () if principal.kind == "Service" else (self._generated(action, role),)
        return self._request(principal, action, role, identity, attached)

    def _request(
        self,
        principal: Principal,
        action: str,
        resource: str,
        identity: tuple[Statements, ...],
        attached: Statements | None,
        boundary: Statements | None = None,
        session: Statements | None = None,
    ) -> Request:
        made = Request(
            principal,
            action,
            resource,
            ACCOUNT,
            secure=self._chance(0.85),
            identity=identity,
            attached=attached,
            boundary=boundary,
            session=session,
        )
        made.context.update(self._context(made.statements()))
        return made

    def _policy(self, kind: str) -> Statements:
        """A shipped policy, changed in most cases."""
        statements = self.random.choice(self.of_kind[kind]).statements
        for statement in statements:
            if self._chance(0.3):
                for mutation in self.random.sample(MUTATIONS, self.random.randint(1, 3)):
                    mutation(self.random, statement)
        if self._chance(0.15):
            denied = copy.deepcopy(self.random.choice(statements)) | {"Effect": "Deny", "Sid": "Refuse"}
            random_condition(self.random, denied)
            statements.append(denied)
        return statements

    def _generated(self, action: str, resource: str) -> Statements:
        """A policy that is about the request in most cases."""
        statement: dict[str, Any] = {
            "Sid": "Generated",
            "Effect": "Allow" if self._chance(0.85) else "Deny",
            "Action": [action if self._chance(0.8) else random_action(self.random)],
            "Resource": [resource if self._chance(0.8) else random_resource(self.random)],
        }
        for mutation in self.random.sample(MUTATIONS, self.random.randint(0, 2)):
            mutation(self.random, statement)
        return [statement]

    def _more(self, action: str, resource: str) -> tuple[Statements, ...]:
        return (self._generated(action, resource),) if self._chance(0.2) else ()

    def _limit(self, action: str, resource: str) -> Statements:
        everything = {"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}
        return [*self._generated(action, resource), *([everything] if self._chance(0.4) else [])]

    def _attached(self, kind: str, action: str, resource: str) -> Statements:
        """A policy of the request's resource."""
        service = SERVICES[kind]
        shipped = [p for p in self.of_kind["resource"] if f'"{service}:' in p.text]
        if service == "kms":
            return self._policy("key")
        if shipped and self._chance(0.6):
            statements = self.random.choice(shipped).statements
            for statement in statements:
                if self._chance(0.6):
                    statement["Resource"] = resource
        else:
            statements = self._generated(action, resource)
            statements[0]["Principal"] = random_principal(self.random)
        for statement in statements:
            if self._chance(0.3):
                self.random.choice(MUTATIONS)(self.random, statement)
        return statements

    def _target(self, statements: Statements) -> tuple[str, str, str]:
        """A kind of resource, an action and a resource: what a statement is about, in most cases."""
        statement = self.random.choice(statements)
        kinds = [
            (kind, f"{SERVICES[kind]}:{name}")
            for kind, names in ACTIONS.items()
            for name in names
            for pattern in as_list(statement.get("Action", []))
            if fnmatchcase(f"{SERVICES[kind]}:{name}".lower(), pattern.lower())
        ]
        if kinds and self._chance(0.85):
            kind, action = self.random.choice(kinds)
        else:
            kind = self.random.choice(list(ACTIONS))
            action = f"{SERVICES[kind]}:{self.random.choice(ACTIONS[kind])}"
        named = [
            self._filled(arn, ("x", "audit", "1"))
            for arn in as_list(statement.get("Resource", []))
            if arn.split(":")[:3] == RESOURCES[kind][0].split(":")[:3]
            and ("/" in arn) == ("/" in RESOURCES[kind][0])
        ]
        if kind == "stream":
            named = [f"{arn.rpartition(':')[0]}:log-stream:1" for arn in named if arn.count(":") == 7]
        elif kind == "log group":
            named = [":".join(arn.split(":")[:7]) for arn in named]
        resource = self.random.choice(named if named and self._chance(0.85) else RESOURCES[kind])
        if kind == "traces":
            resource = "*"
        return kind, action, resource

    def _context(self, statements: Statements) -> dict[str, str | list[str]]:
        """Values that satisfy the conditions in most cases, and some keys that nobody asked for."""
        wanted: dict[str, list[str]] = {}
        for statement in statements:
            for operator, keys in statement.get("Condition", {}).items():
                for key, values in keys.items():
                    wanted.setdefault(key.lower(), []).extend([] if operator == "Null" else as_list(values))
        for key in self.random.sample(list(KEYS), 2):
            wanted.setdefault(key.lower(), [])
        context: dict[str, str | list[str]] = {}
        spelled = {key.lower(): key for key in KEYS}
        for key, values in wanted.items():
            if key in NOT_SET or self._chance(0.2):
                continue
            name = spelled.get(key, key)
            candidates = [*map(self._filled, values)] * 3 + list(KEYS.get(name, ("", ()))[1])
            if not candidates:
                continue
            chosen = [self.random.choice(candidates) for _ in range(self.random.randint(1, 3))]
            if self._chance(0.1) and KEYS.get(name, ("string", ()))[0] in ("string", "arn"):
                chosen[0] = swapped(self.random, chosen[0])
            name = name if self._chance(0.8) else swapped(self.random, name)
            context[name] = sorted(set(chosen)) if key in MULTIVALUED else chosen[0]
        return context

    def _filled(
        self, pattern: str, parts: Sequence[str] = ("", "x", "audit", OTHER_ACCOUNT, "x:y", "x/y")
    ) -> str:
        """The pattern with a part for each `*` and a character for each `?`; some of them match it nearly."""
        character = self.random.choice("xX1") if self._chance(0.9) else ""
        return pattern.replace("?", character).replace("*", self.random.choice(parts))

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability
