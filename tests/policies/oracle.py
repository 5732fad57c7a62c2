"""Ask the oracle, `@cloud-copilot/iam-simulate`, in a process of its own.

It is AGPL-3.0-or-later: a development tool that nothing of ours imports and that never ships. It decides only
requests that are valid for AWS, and ignores context keys that an action does not have.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.dev.install import install_node_tool
from tests.policies.request import Decision, Request, document

SOURCE: Final = Path(__file__).parent / "oracle"
DECISIONS: Final[dict[str, Decision]] = {
    "Allowed": "Allow",
    "ExplicitlyDenied": "Deny",
    "ImplicitlyDenied": "ImplicitDeny",
}
# The oracle knows no keys of these forms and would ignore them; it knows tags of any name.
UNKNOWN_FORMS: Final = re.compile(
    r'(?<=")(?:kms:EncryptionContext|token\.actions\.githubusercontent\.com):', re.IGNORECASE
)
KNOWN_FORM: Final = "aws:PrincipalTag/"


@dataclass(frozen=True)
class Answer:
    """What the oracle decides, or why it refuses to."""

    decision: Decision | None
    # What the policy of the resource alone says of the principal.
    attached: str | None
    ignored: frozenset[str]
    refusal: str


def decide(requests: Sequence[Request]) -> list[Answer]:
    """Return the oracle's answer to each request.

    Raises
    ------
    SetupError
        The oracle can't be installed.
    """
    folder = install_node_tool(SOURCE)
    lines = "\n".join(map(_simulation, requests))
    done = subprocess.run(
        ["node", folder / "decide.mjs"], input=lines, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    answers = [_answer(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests), done.stderr
    return answers


def _answer(answer: dict[str, Any]) -> Answer:
    ignored = frozenset(key.lower() for key in answer["ignored"])
    decision = DECISIONS[answer["decision"]] if answer["decision"] else None
    refusal = json.dumps(answer["refusal"]) if answer["refusal"] else ""
    return Answer(decision, answer["resource"], ignored, refusal)


def _simulation(request: Request) -> str:
    simulation: dict[str, Any] = {
        "request": {
            "principal": request.principal.arn,
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": request.owner},
            "contextVariables": request.full_context(),
        },
        "identityPolicies": [
            {"name": f"identity-{number}", "policy": document(policy)}
            for number, policy in enumerate(request.identity)
        ],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if request.attached is not None:
        simulation["resourcePolicy"] = document(request.attached)
    if request.boundary is not None:
        simulation["permissionBoundaryPolicies"] = [
            {"name": "boundary", "policy": document(request.boundary)}
        ]
    if request.session is not None:
        simulation["sessionPolicy"] = document(request.session)
    return UNKNOWN_FORMS.sub(KNOWN_FORM, json.dumps(simulation))
