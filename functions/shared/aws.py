"""AWS clients of the functions, and what a failed call means."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.aws_requests import Client
from functions.shared.errors import ConfigurationError, EventError, TransientError

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

# botocore's defaults are 60 s each, longer than a function runs. DynamoDB, S3 and Secrets Manager answer in
# milliseconds; three attempts of at most 4 s leave time for the API call.
CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 3
ATTEMPTS: Final = 3
# Those that boto3's clients are made for.
SERVICES: Final = ("dynamodb", "lambda", "s3", "secretsmanager", "sqs")

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


def client(service: str) -> Any:
    """Create a client for the operations that handle an event; see `functions.shared.aws_requests`.

    Raises
    ------
    BotoCoreError
        The environment has no region.
    """
    return Client(service, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS, attempts=ATTEMPTS)


@cache
def session() -> boto3.Session:
    """Return the session of boto3 for clients with more methods, which are not on the path of an event."""
    # Imported here: it costs a cold start as much as everything else.
    import boto3
    import botocore.session
    from botocore.loaders import Loader

    class ServiceLoader(Loader):
        """Does not search for existing services.

        For each client botocore lists the folders of its 400 services twice, only to check that the requested
        one exists: a fifth of the cost of creating the client.
        """

        def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 (botocore's signature)
            return list(SERVICES)

    core = botocore.session.get_session()
    core.register_component("data_loader", ServiceLoader())
    return boto3.Session(botocore_session=core)


@cache
def config() -> Config:
    """Return the limits of boto3's clients."""
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )


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
