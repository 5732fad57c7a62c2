"""docs/deployment-roles.md: the trust and the policies of the roles plan, refresh and deploy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.deployment_roles import (
    DEPLOY,
    NOT_SHOWN,
    PLAN,
    POLICIES,
    REFRESH,
    Place,
    boundary,
    documents,
    trust,
)
from infra.policy import document

# What a reader replaces.
PLACE: Final = Place("ACCOUNT", "REGION", "ENV", "STATE_BUCKET")
REPOSITORY: Final = "OWNER/REPO"
_WIDTH: Final = 110
_HEAD: Final = """\
# The roles of a deployment

`make docs` writes this page from [`infra/deployment_roles/`](../infra/deployment_roles); a test says when
it is stale. [github.md](github.md) says what the roles are for. `make bootstrap` creates them where
`github_repository` is set, with real values for `ACCOUNT`, `REGION`, `OWNER/REPO`, `STATE_BUCKET` and `ENV`.
The names of Glue's databases have `_` for each `-` of an environment's name.

The end-to-end tests deploy as these roles: they create the stack with the shipped settings, turn everything
on and off again, destroy it, and plan it with and without a refresh. Nothing is refused, and each action of
each statement is needed by a call. An upgrade that needs another right changes this page: run
`make bootstrap` before you merge it.
"""
_ABOUT: Final[Mapping[str, str]] = {
    PLAN: "Trusts pull requests of the repository. GitHub gives a fork's pull request no token.",
    REFRESH: "Trusts jobs of main without an environment.",
    DEPLOY: "Trusts jobs of the GitHub environment, which its branch rule and reviewers protect. It creates "
    "no role without [the boundary](#boundary). IAM limits the size of a policy, so it has several.",
}
_BOUNDARY: Final = """\
The permissions boundary of each role that the stack creates: what a function may do at most, whatever the
code on main says. Name: `{name}`.
"""
_REASONS: Final = """\
These actions are needed, but by no run of the tests:
"""


def text() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_roles(), *_boundary(), *_reasons()])


def _roles() -> Iterator[str]:
    for part in POLICIES:
        yield f"## {part}\n"
        yield f"{_ABOUT[part]} Name: `{PLACE.role_name(part)}`.\n"
        yield _fenced(document(trust(part, PLACE, REPOSITORY)))
        pages = documents(part, PLACE)
        yield "Its policies:\n" if len(pages) > 1 else "Its only policy:\n"
        yield from map(_fenced, pages)


def _boundary() -> Iterator[str]:
    yield "## boundary\n"
    yield _BOUNDARY.format(name=PLACE.role_name("boundary"))
    yield _fenced(document(*boundary(PLACE)))


def _reasons() -> Iterator[str]:
    if NOT_SHOWN:
        yield "## What no test asks for\n"
        yield _REASONS
        yield from (f"- `{action}`: {reason}" for action, reason in NOT_SHOWN.items())
        yield ""


def _fenced(policy: str) -> str:
    return f"```json\n{_pretty(json.loads(policy), 0)}\n```\n"


def _pretty(value: Any, depth: int) -> str:
    """Write JSON with what fits into a line in one."""
    short = json.dumps(value)
    if len(short) + 2 * depth <= _WIDTH - 20 and "Sid" not in short:
        return short
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(key)}: {_pretty(each, depth + 1)}" for key, each in _ordered(value)]
        return "{\n" + ",\n".join(rows) + f"\n{outer}}}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"{inner}{_pretty(each, depth + 1)}" for each in value) + f"\n{outer}]"
    return short


_ORDER: Final = ("Version", "Sid", "Effect", "Principal", "Action", "Resource", "Condition", "Statement")


def _ordered(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(value.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 0)
