"""Records of operators' actions in the ledger's bucket: who did what, when and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ops.environment import Environment, aws_errors


def write(environment: Environment, key: str, document: Mapping[str, Any], *, once: bool = True) -> str:
    """Write a record with its caller, and return the object's key.

    Call it before the action: a record without an action does less harm than the reverse.

    Parameters
    ----------
    once
        Whether to refuse a key that exists: two actions of one name would share a record.

    Raises
    ------
    OperatorError
        The bucket refuses it, or the key exists; the action must not start then.
    """
    content = {**document, "environment": environment.name, "caller": environment.caller[1]}
    condition = {"IfNoneMatch": "*"} if once else {}
    with aws_errors(f"the ledger bucket {environment.ledger_bucket}"):
        environment.client("s3").put_object(
            Bucket=environment.ledger_bucket,
            Key=key,
            Body=json.dumps(content, indent=2).encode() + b"\n",
            ContentType="application/json",
            **condition,
        )
    return key
