"""AS_ROLE: run a command as another role."""

from __future__ import annotations

import os
import re
from typing import Final

from ops.errors import OperatorError
from ops.terraform.endpoint import is_embedded

AS_ROLE: Final = "AS_ROLE"
ROLE_ARN: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")
SESSION: Final = "huntaze-stripe"


def take(environment: str | None) -> None:
    """Put the credentials of the role that AS_ROLE names into this process's environment, once.

    Parameters
    ----------
    environment
        The one that the command is for; None if it is for none.

    Raises
    ------
    OperatorError
        AS_ROLE names no role, or AWS does not let the caller have it.
    """
    wanted = os.environ.pop(AS_ROLE, "")
    if not wanted:
        return
    # Most commands run without it, and on call without the CDKTF bindings.
    from infra.deployment_roles import POLICIES

    if ROLE_ARN.fullmatch(wanted):
        variables = _assumed(wanted)
    elif wanted in POLICIES and environment is not None and is_embedded(os.environ):
        variables = _made(wanted, environment)
    else:
        raise OperatorError(
            f"invalid {AS_ROLE} {wanted!r}: expected the ARN of a role, or in a local run one of "
            f"{', '.join(POLICIES)}, for a command with --env",
            usage=True,
        )
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(variables)


def _assumed(arn: str) -> dict[str, str]:
    import boto3

    from ops.environment import aws_errors
    from ops.local.clients import Credentials

    with aws_errors(f"the role {arn}"):
        given = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName=SESSION)["Credentials"]
    keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return keys.environment()


def _made(part: str, environment: str) -> dict[str, str]:
    from infra.errors import InfraError
    from infra.settings import load
    from ops.environment import aws_errors
    from ops.local import roles
    from ops.local.clients import Aws, Credentials

    try:
        settings = load(environment)
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error
    aws = Aws(os.environ["AWS_ENDPOINT_URL"], settings.aws_region, Credentials.of(os.environ))
    with aws_errors(f"the role {part} of {environment}"):
        return roles.assumed(aws, part, roles.place(aws, environment, settings.state_bucket)).environment()
