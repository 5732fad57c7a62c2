"""The values in an environment's secrets: what is stored, and how a new one gets there without Terraform."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ops import keys
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.keys import KeyCheck, State

# Begins the id of a version that `write` wrote.
PUSHED: Final = "pushed-"
# Begins the id of a version that Terraform wrote; its time follows (AWS provider, secret_version.go;
# Terraform Plugin SDK, id.UniqueId).
TERRAFORM: Final = "terraform-"
# Staging label of the version that Terraform wrote last.
DEPLOYED: Final = "DEPLOYED"


@dataclass(frozen=True)
class Stored:
    """The current version of a secret.

    Parameters
    ----------
    value
        None if the secret holds no JSON object with its key.
    version
        Secrets Manager's id of it.
    """

    key: str
    value: str | None = field(repr=False)
    version: str
    written: datetime


def read(environment: Environment, key: str) -> Stored | None:
    """Read the secret of one of `names.SECRET_KEYS`; None if it does not exist, or has no version yet.

    Raises
    ------
    OperatorError
        AWS refuses or does not answer.
    """
    secret_id = environment.secret_id(key)
    client = environment.client("secretsmanager")
    with aws_errors(f"the secret {secret_id}"):
        try:
            answer = client.get_secret_value(SecretId=secret_id)
        except client.exceptions.ResourceNotFoundException:
            return None
        return Stored(key, _value(answer, key), answer["VersionId"], answer["CreatedDate"])


def write(environment: Environment, key: str, value: str) -> str:
    """Write a new current version of a secret that a deploy has created; return the version's id.

    Raises
    ------
    OperatorError
        AWS refuses or does not answer, or the secret does not exist.
    """
    secret_id = environment.secret_id(key)
    client = environment.client("secretsmanager")
    with aws_errors(f"the secret {secret_id}"):
        _keep_deployed(client, secret_id)
        answer = client.put_secret_value(
            SecretId=secret_id,
            SecretString=json.dumps({key: value}),
            ClientRequestToken=f"{PUSHED}{uuid.uuid4()}",
        )
        return str(answer["VersionId"])


def check(environment: Environment, key: str, *, ask: bool = True) -> tuple[KeyCheck, Stored | None]:
    """Check what is stored of one of `names.SECRET_KEYS`, as `keys.check` does."""
    stored = read(environment, key)
    if stored is None:
        return KeyCheck(key, State.MISSING, "the secret does not exist or has no value: deploy first"), None
    if stored.value is None:
        detail = f"the secret is not a JSON object with the string {key}: push the value again"
        return KeyCheck(key, State.REFUSED, detail), stored
    return keys.check(key, stored.value, environment.settings, ask=ask), stored


def refuse_old_values(
    environment: Environment, rewritten: Mapping[str, str | None], exported: Mapping[str, str]
) -> None:
    """Refuse an apply that would replace a value that was written after the last one.

    Terraform writes a secret only when `secret_version` is raised or its version is gone, and cannot see who
    wrote one since.

    Parameters
    ----------
    rewritten
        Each key that the plan writes, as `secret_changes.rewritten` finds them.
    exported
        The environment of Terraform, with the values that it would write.

    Raises
    ------
    OperatorError
        The current value is another than the exported one, and not Terraform's; or AWS refuses to say.
    """
    for key, known in rewritten.items():
        stored = read(environment, key)
        new = exported.get(f"TF_VAR_{key}", "").strip()
        if stored is None or stored.version == known or stored.value == new:
            continue
        raise OperatorError(
            f"{key} was written at {stored.written:%Y-%m-%d %H:%M} UTC, after the last deploy, and this "
            "deploy would replace it by the exported value: export the stored value, or write the exported "
            f"one first with `huntaze-stripe secrets push --env {environment.name} {key}`"
        )


def _keep_deployed(client: Any, secret_id: str) -> None:
    """Label the version that Terraform wrote last, unless it has the label already.

    Secrets Manager deletes versions without a label; the next plan would create this one again.
    """
    # Left out of the answer if the secret has no version.
    stages: Mapping[str, list[str]] = client.describe_secret(SecretId=secret_id).get("VersionIdsToStages", {})
    kept = _labelled(stages, DEPLOYED)
    deployed = _deployed(stages, kept)
    if deployed is None or deployed == kept:
        return
    moved = {"RemoveFromVersionId": kept} if kept else {}
    client.update_secret_version_stage(
        SecretId=secret_id, VersionStage=DEPLOYED, MoveToVersionId=deployed, **moved
    )


def _deployed(stages: Mapping[str, list[str]], kept: str | None) -> str | None:
    """Return the version that Terraform wrote last, whoever wrote the current one; None if there is none."""
    if written := [version for version in stages if version.startswith(TERRAFORM)]:
        return max(written)
    # An imported secret: its first version may have any id.
    current = _labelled(stages, "AWSCURRENT")
    return kept if kept or current is None or current.startswith(PUSHED) else current


def _labelled(stages: Mapping[str, list[str]], label: str) -> str | None:
    return next((version for version, labels in stages.items() if label in labels), None)


def _value(answer: Mapping[str, Any], key: str) -> str | None:
    try:
        value = json.loads(answer["SecretString"])[key]
    except (KeyError, TypeError, ValueError):
        return None
    return value.strip() if isinstance(value, str) else None
