"""Healing: a missing event is sent to its handler and to the audit queue.

Only Stripe can put events on a partner event bus. So the handler is invoked with the envelope that
EventBridge would have made, and the same envelope is sent to the audit queue. Healing an event twice is
harmless: the handler knows which events it has applied, and the ledger knows the copy by its envelope's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline.routing_table import ROUTES, message_group
from functions.shared import aws, names
from functions.shared.json_text import compact
from functions.shared.rate_limiter import RateLimiter
from functions.shared.redaction import without_client_secrets
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# Events per second, so that a long gap does not overload the Huntaze API.
RATE: Final = 20.0


@dataclass(frozen=True)
class HealTargets:
    """Where missing events are sent.

    Parameters
    ----------
    event_source
        The partner event source, which the envelope names.
    partition
        The AWS partition, for example aws or aws-cn.
    functions
        Function name or ARN by handler.
    queue_url
        URL of the audit's FIFO queue.
    """

    event_source: str
    partition: str
    account_id: str
    region: str
    functions: Mapping[str, str]
    queue_url: str


@dataclass
class Healer:
    """Sends missing events at a limited rate."""

    targets: HealTargets
    lambda_client: LambdaClient = field(repr=False)
    sqs_client: SQSClient = field(repr=False)
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(RATE))

    def heal(self, event: Mapping[str, Any]) -> bool:
        """Send an event to its handler and to the audit queue; return False if it is too large.

        The audit queue comes last: an event that is in the ledger is no longer found missing.

        Raises
        ------
        TransientError, ConfigurationError
            Lambda or SQS did not answer, or refused; healing the event again is safe.
        """
        body = self._body(event)
        if body is None:
            return False
        self.limiter.wait()
        self._invoke(event, body)
        self._send(event, body)
        return True

    def invoke_handler(self, event: Mapping[str, Any]) -> bool:
        """Send an event that is in the ledger to its handler alone; return False if it is too large.

        Raises
        ------
        TransientError, ConfigurationError
            Lambda did not answer, or refused; sending the event again is safe.
        """
        body = self._body(event)
        if body is None:
            return False
        self.limiter.wait()
        self._invoke(event, body)
        return True

    def _body(self, event: Mapping[str, Any]) -> str | None:
        body = without_client_secrets(compact(envelope(event, self.targets)))
        if len(body.encode()) <= names.EVENT_BYTES:
            return body
        extra = {"event_id": event["id"], "event_type": event["type"]}
        logger.error("event not healed", extra=extra | {"reason": "the event is too large"})
        return None

    def _invoke(self, event: Mapping[str, Any], body: str) -> None:
        route = ROUTES.get(event["type"])
        if route is None:
            return
        function = self.targets.functions[route.handler]
        try:
            self.lambda_client.invoke(FunctionName=function, InvocationType="Event", Payload=body.encode())
        except aws.AwsError as error:
            raise aws.fault(f"the function {function}", error) from error

    def _send(self, event: Mapping[str, Any], body: str) -> None:
        try:
            self.sqs_client.send_message(
                QueueUrl=self.targets.queue_url,
                MessageBody=body,
                MessageGroupId=message_group(event["type"]),
            )
        except aws.AwsError as error:
            raise aws.fault("the audit queue", error) from error


def envelope(event: Mapping[str, Any], targets: HealTargets) -> dict[str, Any]:
    """Wrap an event as EventBridge does, with an id that names the event and marks the copy.

    By this id the ledger knows a copy, and does not count it as a delivery by Stripe.
    """
    source = targets.event_source
    return {
        "version": "0",
        "id": f"{names.RECONCILED_ID_PREFIX}{event['id']}",
        "detail-type": event["type"],
        "source": source,
        "account": targets.account_id,
        "time": datetime.fromtimestamp(event["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": targets.region,
        "resources": [f"arn:{targets.partition}:events:{targets.region}::event-source/{source}"],
        "detail": dict(event),
    }
