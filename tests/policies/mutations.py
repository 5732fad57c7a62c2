"""Change a statement at random: each mutation stays within what AWS accepts as a policy."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.policies.catalogue import (
    ACTIONS,
    CALLING,
    GITHUB,
    KEYS,
    OPERATORS,
    PRINCIPALS,
    RESOURCES,
    SERVICES,
)
from tests.policies.request import MULTIVALUED
from tests.policies.shipped import ACCOUNT

Statement = dict[str, Any]
Mutation = Callable[[Random, Statement], None]


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def swapped(random: Random, text: str) -> str:
    """The text with the case of some characters changed."""
    return "".join(character.swapcase() if random.random() < 0.3 else character for character in text)


def with_wildcard(random: Random, text: str) -> str:
    """The text with a part of one of its segments replaced by a wildcard."""
    if not text:
        return "*"
    start = random.randrange(len(text))
    end = min(len(text), start + random.randint(1, 8))
    end = min([end, *(at for at in [text.find(":", start)] if at >= 0)])
    return text[:start] + random.choice(["*", "?" * max(1, end - start)]) + text[end:]


def arn_with_wildcard(random: Random, arn: str) -> str:
    """The ARN with a wildcard in its region, account or resource, never in its form."""
    if arn.count(":") < 5:
        return arn
    *head, resource = arn.split(":", 5)
    at = random.choice([3, 4, 5, 5])
    if at < 5:
        head[at] = random.choice(["*", with_wildcard(random, head[at])]) if head[at] else head[at]
        return ":".join([*head, resource])
    product = max(resource.find("/"), resource.find(":")) + 1 if head[2] != "s3" else 0
    return ":".join([*head, resource[:product] + with_wildcard(random, resource[product:])])


def random_action(random: Random) -> str:
    kind = random.choice(list(ACTIONS))
    return f"{SERVICES[kind]}:{random.choice(ACTIONS[kind])}"


def random_resource(random: Random) -> str:
    return random.choice(RESOURCES[random.choice(list(RESOURCES))])


def random_principal(random: Random) -> Any:
    """A `Principal` element of each form that AWS has."""
    one, other = random.choice(PRINCIPALS), random.choice(PRINCIPALS)
    services = [random.choice(CALLING).name, random.choice(CALLING).name]
    root = f"arn:aws:iam::{random.choice([ACCOUNT, other.account])}:root"
    return random.choice(
        [
            "*",
            {"AWS": "*"},
            {"AWS": root},
            {"AWS": one.account},
            {"AWS": one.issuer},
            {"AWS": [one.arn, other.issuer]},
            {"Service": services[0]},
            {"Service": sorted(set(services))},
            {"Service": services[0], "AWS": root},
            {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"},
        ]
    )


def random_condition(random: Random, statement: Statement) -> None:
    """Add a condition on a key of the catalogue."""
    key = random.choice(list(KEYS))
    kind, values = KEYS[key]
    conditions = statement.setdefault("Condition", {})
    if random.random() < 0.1:
        conditions.setdefault("Null", {})[key] = random.choice(["true", "false"])
        return
    operator = random.choice(OPERATORS[kind])
    chosen = random.sample(values, random.randint(1, min(3, len(values))))
    if operator.endswith("Like"):
        change = arn_with_wildcard if kind == "arn" and operator.startswith("Arn") else with_wildcard
        chosen = [change(random, value) for value in chosen]
    # Not `ForAnyValue:…IfExists`: AWS documents no result for it.
    if random.random() < 0.2:
        operator += "IfExists"
    elif random.random() < (0.75 if key.lower() in MULTIVALUED else 0.05):
        operator = random.choice(["ForAllValues:", "ForAnyValue:"]) + operator
    conditions.setdefault(operator, {})[key] = chosen


def _wildcard_action(random: Random, statement: Statement) -> None:
    if "Action" in statement:
        actions = as_list(statement["Action"])
        at = random.randrange(len(actions))
        service, _, name = actions[at].partition(":")
        actions[at] = random.choice(["*", f"{service}:*", f"{service}:{with_wildcard(random, name)}"])
        statement["Action"] = actions


def _other_case_of_action(random: Random, statement: Statement) -> None:
    for element in {"Action", "NotAction"} & set(statement):
        statement[element] = [swapped(random, action) for action in as_list(statement[element])]


def _not_action(random: Random, statement: Statement) -> None:
    if "Action" in statement and statement["Action"] != ["*"]:
        statement["NotAction"] = statement.pop("Action")


def _more_actions(random: Random, statement: Statement) -> None:
    if "Action" in statement and not str(statement["Action"]).count("sts:"):
        statement["Action"] = sorted({*as_list(statement["Action"]), random_action(random)})


def _wildcard_resource(random: Random, statement: Statement) -> None:
    for element in {"Resource", "NotResource"} & set(statement):
        statement[element] = [arn_with_wildcard(random, arn) for arn in as_list(statement[element])]


def _other_case_of_resource(random: Random, statement: Statement) -> None:
    if "Resource" in statement:
        resources = as_list(statement["Resource"])
        at = random.randrange(len(resources))
        head, separator, name = resources[at].rpartition("/" if "/" in resources[at] else ":")
        resources[at] = head + separator + swapped(random, name)
        statement["Resource"] = resources


def _not_resource(random: Random, statement: Statement) -> None:
    if "Resource" in statement and as_list(statement["Resource"]) != ["*"]:
        statement["NotResource"] = statement.pop("Resource")


def _more_resources(random: Random, statement: Statement) -> None:
    if "Resource" in statement:
        statement["Resource"] = sorted({*as_list(statement["Resource"]), random_resource(random)})


def _other_effect(random: Random, statement: Statement) -> None:
    statement["Effect"] = "Deny" if statement["Effect"] == "Allow" else "Allow"


def _no_condition(random: Random, statement: Statement) -> None:
    statement.pop("Condition", None)


def _other_operator(random: Random, statement: Statement) -> None:
    """Change how a condition compares: another operator of its type, `…IfExists` or a set operator."""
    for operator in list(statement.get("Condition", {})):
        base = operator.rpartition(":")[2].removesuffix("IfExists")
        family = next((known for known in OPERATORS.values() if base in known), ())
        if not family:
            continue
        changed = random.choice([*family, f"{base}IfExists", f"ForAllValues:{base}", f"ForAnyValue:{base}"])
        statement["Condition"][changed] = statement["Condition"].pop(operator) | statement["Condition"].get(
            changed, {}
        )


def _other_values(random: Random, statement: Statement) -> None:
    for operator, keys in statement.get("Condition", {}).items():
        base = operator.rpartition(":")[2].removesuffix("IfExists")
        for key, values in keys.items():
            known = {name.lower(): found for name, found in KEYS.items()}.get(key.lower())
            if base == "Null" or known is None:
                continue
            change = random.random()
            if change < 0.4:
                keys[key] = sorted({*as_list(values), random.choice(known[1])})
            elif change < 0.7 and base.startswith(("String", "Arn")):
                wild = arn_with_wildcard if base.startswith("Arn") else with_wildcard
                keys[key] = [wild(random, value) for value in as_list(values)]
            elif base.startswith("String"):
                keys[key] = [swapped(random, value) for value in as_list(values)]


def _other_case_of_key(random: Random, statement: Statement) -> None:
    for operator, keys in statement.get("Condition", {}).items():
        statement["Condition"][operator] = {swapped(random, key): value for key, value in keys.items()}


def _other_principal(random: Random, statement: Statement) -> None:
    if "Principal" in statement:
        statement["Principal"] = random_principal(random)


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _wildcard_action,
    _other_case_of_action,
    _not_action,
    _more_actions,
    _wildcard_resource,
    _other_case_of_resource,
    _not_resource,
    _more_resources,
    _other_effect,
    _no_condition,
    random_condition,
    random_condition,
    _other_operator,
    _other_values,
    _other_case_of_key,
    _other_principal,
)
