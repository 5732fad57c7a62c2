"""AWS clients of the functions, and what a failed call means."""

from __future__ import annotations

from functools import cache
from typing import Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader

from functions.shared.errors import ConfigurationError, EventError, TransientError

# botocore's defaults are 60 s each, longer than a function runs. DynamoDB, S3 and Secrets Manager answer in
# milliseconds; three attempts of at most 4 s leave time for the API call.
CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
)

# Errors that no retry can help: a permission, a name or a key policy is wrong. DynamoDB and SQS return KMS's
# own error codes.
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
    """botocore's loader of service descriptions, without the search for existing services.

    For each client botocore lists the folders of its 400 services twice, only to check that the requested one
    exists: a fifth of the cost of creating the client.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 (botocore's signature)
        return list(SERVICES)


@cache
def session() -> boto3.Session:
    """Return the session that creates all clients."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _Loader())
    return boto3.Session(botocore_session=core)


def fault(resource: str, error: BaseException) -> EventError:
    """Classify a failed AWS call; `resource` describes what was called.

    The reason holds AWS's error code but not its message, which can repeat what was sent.
    """
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        if code in _CONFIGURATION_CODES:
            return ConfigurationError(f"{resource} answered {code}; check the function's role and settings")
        return TransientError(f"{resource} answered {code}")
    return TransientError(f"{resource} could not be reached ({type(error).__name__})")
