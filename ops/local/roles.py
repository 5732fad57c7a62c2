"""The roles of docs/github.md in an embedded AWS, as a job of GitHub's has them."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from infra.deployment_roles import AUDIENCE, GITHUB, Place, subject
from ops.local.clients import Aws, Credentials

# Whose jobs the roles of a local run trust: nobody's, because the embedded AWS is reachable from here alone.
REPOSITORY: Final = "huntaze/local"
_SESSION: Final = "local"
_EXCHANGE: Final = "choose-signer.sts.AssumeRoleWithWebIdentity"


def place(aws: Aws, environment: str, state_bucket: str) -> Place:
    """Return where an environment is in an embedded AWS."""
    account = aws.client("sts").get_caller_identity()["Account"]
    return Place(account, aws.region, environment, state_bucket)


def assumed(aws: Aws, part: str, place: Place) -> Credentials:
    """Exchange the token of the job that a role is for: return the credentials of a session of the role.

    Parameters
    ----------
    part
        Which role: plan, refresh or deploy.

    Raises
    ------
    botocore.exceptions.ClientError
        The role does not exist (`bootstrap` creates it), or it trusts another repository.
    """
    arn = place.role_arn(part)
    return exchanged(aws, arn, token(sub=subject(part, place, REPOSITORY)))


def exchanged(aws: Aws, role_arn: str, token: str) -> Credentials:
    """Exchange a token for the credentials of a session of a role."""
    sts = aws.client("sts")
    # Signed, unlike for AWS: the embedded AWS serves nobody without the key of its run.
    sts.meta.events.register_first(_EXCHANGE, lambda **_: "v4")
    given = sts.assume_role_with_web_identity(
        RoleArn=role_arn, RoleSessionName=_SESSION, WebIdentityToken=token
    )
    return _of(given)


def token(**claims: str) -> str:
    """Return a token as GitHub writes it, but for its signature, which the embedded AWS does not check."""

    def encoded(part: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")

    shown = {"iss": f"https://{GITHUB}", "aud": AUDIENCE, **claims}
    return f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{encoded(shown)}.{encoded({})}"


def session(aws: Aws, role_arn: str) -> Credentials:
    """Return the credentials of a new session of a role that trusts the account."""
    return _of(aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=_SESSION))


def _of(given: dict[str, Any]) -> Credentials:
    keys = given["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
