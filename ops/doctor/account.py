"""Credentials and account."""

from __future__ import annotations

from ops.doctor.check import Finding, failed, passed, warned
from ops.doctor.context import Context


def credentials(context: Context) -> Finding:
    """Check whether AWS accepts the credentials."""
    answer = context.client("sts").get_caller_identity()
    return passed(str(answer["Arn"]))


def account(context: Context) -> Finding:
    """Check whether the credentials are for the environment's account."""
    only = context.environment.settings.aws_account_id
    found = str(context.client("sts").get_caller_identity()["Account"])
    if only and found != only:
        return failed(
            f"the credentials are for {found}, but aws_account_id = {only}", "use credentials of that account"
        )
    if not only:
        return warned(
            f"{found}; aws_account_id is empty, so that any account would be changed",
            f'set aws_account_id = "{found}" in environments/{context.environment.name}.toml',
        )
    return passed(found)
