"""A deployed environment: its settings, its AWS account, the names of its resources."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from functions.ledger.reader import READERS
from functions.shared import names
from infra import settings as infra_settings
from infra.errors import InfraError
from infra.names import PROJECT
from infra.settings import Settings
from ops import addresses, as_role
from ops.denials import denied
from ops.errors import NO_CREDENTIALS, OperatorError

T = TypeVar("T")

# People wait for these calls: an endpoint that does not answer is reported within half a minute.
CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=READERS,
)
CREDENTIALS_CODES: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
MISSING_CODES: Final = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
# Characters of AWS's message in an error; something else than AWS may answer with a whole page.
LONGEST_MESSAGE: Final = 300
# No event source of Stripe has this name.
UNNAMED_BUS: Final = "aws.partner/stripe.com/ed_unnamed"
# Only a deploy needs the recipients of the alarms.
NO_ALERTS: Final[Mapping[str, object]] = MappingProxyType({"alert_emails": ["none"]})


@dataclass(frozen=True)
class Environment:
    """One environment; make it with `connect`."""

    settings: Settings
    session: boto3.Session = field(repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    # A session makes one client at a time; clients themselves are for all threads (Boto3, "Multithreading").
    _making: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The name of its file in environments/."""
        return self.settings.environment

    @property
    def region(self) -> str:
        """The AWS region of everything but the Terraform state."""
        return self.settings.aws_region

    @property
    def bus(self) -> str:
        """The name of the partner event bus, which is that of its event source."""
        return self.settings.stripe_event_source_name

    def client(self, service: str, config: Config = CONFIG) -> Any:
        """Return a client of an AWS service in the environment's region; the default one is made once.

        Raises
        ------
        OperatorError
            The AWS configuration is invalid.
        """
        with self._making:
            if config is CONFIG and service in self._clients:
                return self._clients[service]
            made = self._made(service, config)
            if config is CONFIG:
                self._clients[service] = made
            return made

    def _made(self, service: str, config: Config) -> Any:
        make = cast("Any", self.session.client)
        try:
            with aws_errors(service):
                made = make(service, config=config)
            usable = addresses.is_endpoint(made.meta.endpoint_url)
        except ValueError:
            usable = False
        if not usable:
            # The exported addresses are checked by then.
            raise OperatorError(
                f"invalid endpoint_url of {service} in the AWS configuration: correct it, or export "
                f"{addresses.ENDPOINT}",
                usage=True,
            )
        return made

    def resource(self, part: str) -> str:
        """Return the name of a resource, for example huntaze-stripe-archive-dev."""
        return f"{PROJECT}-{part}-{self.name}"

    @cached_property
    def caller(self) -> tuple[str, str]:
        """The account id and the ARN of the caller.

        Raises
        ------
        OperatorError
            AWS refuses or does not answer, or the account is not the environment's.
        """
        with aws_errors("the caller's identity"):
            answer = self.client("sts").get_caller_identity()
        only = self.settings.aws_account_id
        if only and answer["Account"] != only:
            raise OperatorError(
                f"the credentials are for account {answer['Account']}, but {self.name} is in {only}: use "
                "credentials of that account"
            )
        return answer["Account"], answer["Arn"]

    @property
    def account_id(self) -> str:
        """The AWS account id.

        Raises
        ------
        OperatorError
            AWS refuses or does not answer, or the account is not the environment's.
        """
        return self.caller[0]

    @property
    def ledger_bucket(self) -> str:
        """The bucket of the audit ledger.

        Raises
        ------
        OperatorError
            AWS refuses or does not answer, or the account is not the environment's.
        """
        return f"{self.resource('ledger')}-{self.account_id}"

    def secret_id(self, key: str) -> str:
        """Return the id of the secret for one of `names.SECRET_KEYS`."""
        return names.SECRET_NAMES[key].format(environment=self.name)

    def secret(self, key: str) -> str:
        """Return the deployed value of one of `names.SECRET_KEYS`; empty if its secret holds none.

        Raises
        ------
        OperatorError
            AWS refuses or does not answer, or the secret does not exist.
        """
        secret_id = self.secret_id(key)
        with aws_errors(f"the secret {secret_id}"):
            answer = self.client("secretsmanager").get_secret_value(SecretId=secret_id)
        try:
            return str(json.loads(answer["SecretString"]).get(key, "")).strip()
        except (AttributeError, KeyError, ValueError):
            return ""


def connect(name: str, *, bus: bool = True, check_account: bool = True) -> Environment:
    """Read an environment's settings, and check the account if they name it.

    Parameters
    ----------
    bus
        Whether the caller needs the bus; without it, the name of Stripe's event source may be unset.
    check_account
        Whether to refuse credentials of another account at once, and not with the first use of the account.

    Raises
    ------
    OperatorError
        The environment is unknown, its settings or those of AWS are invalid, the credentials are for
        another account than the settings name, or the role of AS_ROLE can't be assumed.
    """
    addresses.check(os.environ)
    as_role.take(name)
    try:
        settings = infra_settings.load(
            name, fallbacks={**NO_ALERTS, **({} if bus else {"stripe_event_source_name": UNNAMED_BUS})}
        )
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error
    try:
        session = boto3.Session(region_name=settings.aws_region)
    except ConfigParseError as error:
        raise OperatorError(
            f"invalid AWS configuration {error.kwargs['path']}: correct the file, or check AWS_CONFIG_FILE "
            "and AWS_SHARED_CREDENTIALS_FILE"
        ) from error
    except BotoCoreError as error:
        profile = os.environ.get("AWS_PROFILE", "default")
        step = "check AWS_PROFILE" if profile.strip() else "unset AWS_PROFILE, or set it to a profile"
        raise OperatorError(f"can't use the AWS profile {profile!r} ({error}): {step}") from error
    environment = Environment(settings, session)
    if settings.aws_account_id and check_account:
        _ = environment.caller
    return environment


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Raise an error of AWS as one line for operators.

    Parameters
    ----------
    what
        What was requested.

    Raises
    ------
    OperatorError
        With the next step; a `DeniedError` if a right is missing. It holds AWS's own message only if that
        names nothing but resources.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise OperatorError(NO_CREDENTIALS) from error
    except EndpointConnectionError as error:
        url = error.kwargs.get("endpoint_url", "AWS")
        raise OperatorError(f"{url} does not answer: check the network and AWS_ENDPOINT_URL") from error
    except ProxyConnectionError as error:
        # Without its address, which may hold credentials.
        raise OperatorError(
            "the proxy does not answer: check HTTPS_PROXY and HTTP_PROXY, and NO_PROXY for hosts without one"
        ) from error
    except SSLError as error:
        raise OperatorError(
            f"no TLS connection to AWS ({_line(error)}): check AWS_CA_BUNDLE and AWS_ENDPOINT_URL"
        ) from error
    except ClientError as error:
        raise denied(what, error) or OperatorError(_explained(what, error)) from error
    except BotoCoreError as error:
        raise OperatorError(
            f"the request for {what} failed ({_line(error)}): check the network, then repeat the command"
        ) from error
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        # botocore and we rely on the documented responses of AWS.
        raise OperatorError(
            f"{what}: unexpected response, probably not from AWS ({type(error).__name__}): check "
            f"{addresses.ENDPOINT} and HTTPS_PROXY"
        ) from error


def if_exists(call: Callable[..., T], **arguments: Any) -> T | None:
    """Return what a method of a client answers; None if what it asks for does not exist."""
    try:
        return call(**arguments)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING_CODES:
            return None
        raise


def _explained(what: str, error: ClientError) -> str:
    details = error.response.get("Error", {})
    code, message = details.get("Code", "an error"), _line(details.get("Message", ""))
    if code in CREDENTIALS_CODES:
        return f"AWS refused the credentials ({code}): log in again, then repeat the command"
    if code in MISSING_CODES:
        return f"{what} does not exist ({code}): check --env and the account, or deploy the environment first"
    return f"AWS refused {what} ({code}: {message})"


def _line(text: object) -> str:
    return textwrap.shorten(str(text), LONGEST_MESSAGE, placeholder=" …")
