"""The partner event sources of the reference Stripe API, in the embedded AWS.

Source: EventBridge API reference, "CreatePartnerEventSource", "DeletePartnerEventSource", "PutPartnerEvents".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

from botocore.exceptions import ClientError

from ops.local.clients import Aws

ACTIVE, DELETED, PENDING, UNKNOWN = "active", "deleted", "pending", "unknown"
PREFIX: Final = "aws.partner/stripe.com/"
EXISTS: Final = "ResourceAlreadyExistsException"
MISSING: Final = "ResourceNotFoundException"


class Partner(Protocol):
    """What Stripe does in AWS as a partner."""

    def create(self, name: str, account_id: str) -> None:
        """Create an event source in a customer's account, unless it exists."""

    def delete(self, name: str, account_id: str) -> None:
        """Delete an event source, if it exists."""

    def state(self, name: str) -> str:
        """Return active, pending, deleted or unknown, as an event destination shows it."""

    def publish(self, name: str, event: dict[str, Any]) -> None:
        """Send an event to the source; what a source without a bus gets is dropped."""


class NoPartner:
    """For an API without an AWS beside it."""

    def create(self, name: str, account_id: str) -> None:
        """Create nothing."""

    def delete(self, name: str, account_id: str) -> None:
        """Delete nothing."""

    def state(self, name: str) -> str:
        """Return unknown."""
        del name
        return UNKNOWN

    def publish(self, name: str, event: dict[str, Any]) -> None:
        """Send nothing."""


@dataclass(frozen=True)
class EmbeddedPartner:
    """Partner event sources of an embedded AWS."""

    aws: Aws

    def create(self, name: str, account_id: str) -> None:
        """Create an event source in a customer's account, unless it exists."""
        try:
            self._events.create_partner_event_source(Name=name, Account=account_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != EXISTS:
                raise

    def delete(self, name: str, account_id: str) -> None:
        """Delete an event source, if it exists."""
        try:
            self._events.delete_partner_event_source(Name=name, Account=account_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != MISSING:
                raise

    def state(self, name: str) -> str:
        """Return EventBridge's state, and deleted for a source that it does not know."""
        try:
            return str(self._events.describe_event_source(Name=name)["State"]).lower()
        except ClientError as error:
            if error.response["Error"]["Code"] != MISSING:
                raise
            return DELETED

    def publish(self, name: str, event: dict[str, Any]) -> None:
        """Send an event to the source; EventBridge refuses it without a bus, and it is dropped."""
        entry = {"Source": name, "DetailType": event["type"], "Detail": json.dumps(event), "Resources": []}
        self._events.put_partner_events(Entries=[entry])

    @property
    def _events(self) -> Any:
        return self.aws.client("events")
