"""The way back for a missing event: to the handler that its type belongs to, and to the audit queue.

Only Stripe can put events on a partner bus, so the handler is invoked with the envelope that EventBridge
would have made, and the same envelope goes to the audit queue. Handing an event over twice is harmless: the
handler knows applied events, and the ledger knows the copy by its envelope's id.
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

# Events per second, so that a long gap does not fall on the Huntaze API at once.
RATE: Final = 20.0


@dataclass(frozen=True)
class HealTargets:
    """Where missing events go.

    Parameters
    ----------
    event_source
        The partner event source, by which the handlers know Stripe's events.
    partition
        The first part of AWS's ARNs: aws, or aws-cn for example.
    functions
        Handler to the function's name or ARN.
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
    """Hands missing events over, at a bounded rate."""

    destination: HealTargets
    lambda_client: LambdaClient = field(repr=False)
    sqs_client: SQSClient = field(repr=False)
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(RATE))

    def heal(self, event: Mapping[str, Any]) -> bool:
        """Invoke the event's handler and put it into the audit queue; return False where it is too large.

        The audit comes last: an event that is in the ledger is no longer found as missing.

        Raises
        ------
        TransientError, ConfigurationError
            Lambda or SQS did not answer, or refused; the event may be handed over again.
        """
        body = self._body(event)
        if body is None:
            return False
        self.limiter.wait()
        self._invoke(event, body)
        self._send(event, body)
        return True

    def invoke_handler(self, event: Mapping[str, Any]) -> bool:
        """Invoke the handler of an event that the ledger has; raises as :meth:`heal` does."""
        body = self._body(event)
        if body is None:
            return False
        self.limiter.wait()
        self._invoke(event, body)
        return True

    def _body(self, event: Mapping[str, Any]) -> str | None:
        body = without_client_secrets(compact(envelope(event, self.destination)))
        if len(body.encode()) <= names.EVENT_BYTES:
            return body
        extra = {"event_id": event["id"], "event_type": event["type"]}
        logger.error("event not handed over", extra=extra | {"reason": "it is too large"})
        return None

    def _invoke(self, event: Mapping[str, Any], body: str) -> None:
        route = ROUTES.get(event["type"])
        if route is None:
            return
        function = self.destination.functions[route.handler]
        try:
            self.lambda_client.invoke(FunctionName=function, InvocationType="Event", Payload=body.encode())
        except aws.AwsError as error:
            raise aws.fault(f"the function {function}", error) from error

    def _send(self, event: Mapping[str, Any], body: str) -> None:
        try:
            self.sqs_client.send_message(
                QueueUrl=self.destination.queue_url,
                MessageBody=body,
                MessageGroupId=message_group(event["type"]),
            )
        except aws.AwsError as error:
            raise aws.fault("the audit queue", error) from error


def envelope(event: Mapping[str, Any], destination: HealTargets) -> dict[str, Any]:
    """Wrap an event as EventBridge does, under an id that tells the event and who wrapped it.

    So the ledger counts no delivery of Stripe's where this is a copy of one.
    """
    source = destination.event_source
    return {
        "version": "0",
        "id": f"{names.RECONCILED_ID_PREFIX}{event['id']}",
        "detail-type": event["type"],
        "source": source,
        "account": destination.account_id,
        "time": datetime.fromtimestamp(event["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": destination.region,
        "resources": [f"arn:{destination.partition}:events:{destination.region}::event-source/{source}"],
        "detail": dict(event),
    }
