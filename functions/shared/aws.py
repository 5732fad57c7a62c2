"""How the functions call AWS, and what a failed call means."""

from __future__ import annotations

from functools import cache
from typing import Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader

from functions.shared.errors import ConfigurationError, EventError, TransientError

# botocore's own defaults are 60 s each, longer than a function lives. DynamoDB, S3 and Secrets Manager
# answer in milliseconds; three attempts of at most 4 s leave room for the API call.
CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
)

# Answers that no retry cures: a permission, a name or a key policy is wrong. DynamoDB and SQS tell of a key
# by KMS's own names.
_CONFIGURATION_CODES: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AccessDenied",
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidSignatureException",
        "KMS.AccessDeniedException",
        "KMS.DisabledException",
        "KMS.InvalidStateException",
        "KMS.NotFoundException",
        "KMSAccessDeniedException",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)

AwsError = (BotoCoreError, ClientError)


SERVICES: Final = ("dynamodb", "lambda", "s3", "secretsmanager", "sqs")


class _Loader(Loader):
    """botocore's loader of service descriptions, without its search for the services that exist.

    For each client botocore lists the folders of its 400 services twice, only to see that the one it was
    asked for is among them: a fifth of what making the client costs.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 (botocore's signature)
        return list(SERVICES)


@cache
def session() -> boto3.Session:
    """Make the session that all clients come from."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _Loader())
    return boto3.Session(botocore_session=core)


def fault(resource: str, error: BaseException) -> EventError:
    """Classify a failed AWS call; ``resource`` says in words what was called.

    Only AWS's error code is told: its message can repeat what was sent.
    """
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        if code in _CONFIGURATION_CODES:
            return ConfigurationError(f"{resource} answered {code}; check the function's role and settings")
        return TransientError(f"{resource} answered {code}")
    return TransientError(f"{resource} could not be reached ({type(error).__name__})")
