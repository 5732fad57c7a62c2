"""Stripe's event destinations through the stripe library; each failure is one line for operators.

Source: Stripe's API reference, "Event destinations".
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from functions.shared import names
from functions.stripe_api.client import StripeApi
from ops.errors import OperatorError
from ops.plain import plain

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

KIND: Final = "amazon_eventbridge"
ENABLED, DISABLED = "enabled", "disabled"
DELETED: Final = "deleted"
# Whose events a destination sends (Create an event destination, events_from); an update can't change it.
ITSELF, ACCOUNTS = "@self", "@accounts"
PAGE: Final = 100
RETRIES: Final = 2
LONGEST_MESSAGE: Final = 300
UNAUTHORIZED, FORBIDDEN = 401, 403
# Reasons of a disabled destination (EventDestination, status_details.disabled.reason).
REASONS: Final[Mapping[str, str]] = {
    "user": "somebody disabled it",
    "no_aws_event_source_exists": "its event source no longer exists in AWS",
}


class DeniedByStripeError(OperatorError):
    """The key lacks a right."""


@dataclass(frozen=True)
class Destination:
    """An event destination of type amazon_eventbridge.

    Parameters
    ----------
    source_arn
        The ARN of its partner event source; empty until Stripe names it.
    source_status
        active, pending, deleted or unknown, as AWS says to Stripe.
    events_from
        Whose events it sends: ITSELF for the key's account, ACCOUNTS for those connected to it.
    reason
        Why it is disabled; empty if it is enabled.
    """

    id: str
    name: str
    status: str
    livemode: bool
    payload: str
    api_version: str
    event_types: tuple[str, ...]
    account_id: str
    source_arn: str
    source_status: str
    events_from: tuple[str, ...] = (ITSELF,)
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def source_name(self) -> str:
        """The name of its partner event source, which is that of the bus."""
        return self.source_arn.partition("event-source/")[2]

    @property
    def region(self) -> str:
        """The AWS region of its event source."""
        return (self.source_arn.split(":") + [""] * 4)[3]

    @property
    def enabled(self) -> bool:
        """Whether Stripe sends events to it."""
        return self.status == ENABLED

    @property
    def why(self) -> str:
        """Why it is disabled, in words."""
        return REASONS.get(self.reason, self.reason)


@dataclass(frozen=True)
class EventDestinations:
    """The event destinations of the account that a key belongs to."""

    api: StripeApi

    def all(self) -> list[Destination]:
        """Return the destinations of type amazon_eventbridge.

        Raises
        ------
        OperatorError
            Stripe refuses or does not answer; so do all methods.
        """

        def listed() -> list[Any]:
            return list(self._service.list({"limit": PAGE}, self._options).auto_paging_iter())

        found = self._ask("list event destinations", listed)
        return [_read(each) for each in found if each.type == KIND]

    def create(
        self,
        *,
        name: str,
        metadata: Mapping[str, str],
        account_id: str,
        region: str,
        event_types: Sequence[str],
        events_from: Sequence[str],
        payload: str,
        api_version: str,
    ) -> Destination:
        """Create one; Stripe renders its snapshot events in `api_version` for ever, thin events in none."""
        parameters: Any = {
            "name": name,
            "description": "huntaze-stripe-eventbridge: created by `huntaze-stripe destination create`",
            "metadata": dict(metadata),
            "type": KIND,
            "event_payload": payload,
            **({"snapshot_api_version": api_version} if payload == "snapshot" else {}),
            "enabled_events": list(event_types),
            "events_from": list(events_from),
            "amazon_eventbridge": {"aws_account_id": account_id, "aws_region": region},
        }
        return _read(
            self._ask("create the event destination", lambda: self._service.create(parameters, self._options))
        )

    def retrieve(self, id_: str) -> Destination:
        """Return one by its id."""
        return _read(self._ask(f"read {id_}", lambda: self._service.retrieve(id_, options=self._options)))

    def update(
        self, id_: str, *, name: str, metadata: Mapping[str, str], event_types: Sequence[str]
    ) -> Destination:
        """Change name, metadata and event types."""
        parameters: Any = {"name": name, "metadata": dict(metadata), "enabled_events": list(event_types)}
        return _read(self._ask(f"update {id_}", lambda: self._service.update(id_, parameters, self._options)))

    def enable(self, id_: str) -> Destination:
        """Let Stripe send events to it."""
        return _read(self._ask(f"enable {id_}", lambda: self._service.enable(id_, options=self._options)))

    def disable(self, id_: str) -> Destination:
        """Let Stripe send no events to it."""
        return _read(self._ask(f"disable {id_}", lambda: self._service.disable(id_, options=self._options)))

    def ping(self, id_: str) -> str:
        """Let Stripe send it a `v2.core.event_destination.ping`; return the event's id."""
        return str(self._ask(f"ping {id_}", lambda: self._service.ping(id_, options=self._options)).id)

    def delete(self, id_: str) -> None:
        """Delete it, and with it its event source."""
        self._ask(f"delete {id_}", lambda: self._service.delete(id_, options=self._options))

    @property
    def _service(self) -> Any:
        return self.api.library.v2.core.event_destinations

    @property
    def _options(self) -> Any:
        return {"max_network_retries": RETRIES}

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        import stripe

        try:
            return call()
        except stripe.StripeError as error:
            raise refusal(what, error) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OperatorError(
                f"Stripe's answer has an unexpected form ({type(error).__name__}): check STRIPE_API_URL"
            ) from error


def current_api_version() -> str:
    """Return the API version of the locked stripe library."""
    import stripe

    return str(stripe.api_version or stripe._api_version._ApiVersion.CURRENT)


def refusal(what: str, error: stripe.StripeError) -> OperatorError:
    """Return the error for operators; the message of these calls holds no customer's data."""
    status = error.http_status
    message = textwrap.shorten(plain(error.user_message or ""), LONGEST_MESSAGE, placeholder=" …")
    if status is None:
        return OperatorError(
            f"can't {what}: Stripe does not answer ({message or type(error).__name__}); check the network, "
            "then repeat the command"
        )
    if status == UNAUTHORIZED:
        return OperatorError(
            f"can't {what}: Stripe refused {names.STRIPE_SECRET_KEY} ({message}): check the key"
        )
    if status == FORBIDDEN:
        return DeniedByStripeError(
            f"can't {what}: Stripe denied it ({message}): export a {names.STRIPE_SECRET_KEY} that may read "
            "and write event destinations"
        )
    return OperatorError(f"can't {what}: Stripe answered {status} ({message})")


def _read(found: Any) -> Destination:
    document = found.to_dict()
    place = document["amazon_eventbridge"]
    disabled = (document.get("status_details") or {}).get("disabled") or {}
    return Destination(
        id=document["id"],
        name=document["name"],
        status=document["status"],
        livemode=document["livemode"],
        payload=document["event_payload"],
        api_version=document.get("snapshot_api_version") or "",
        event_types=tuple(sorted(document["enabled_events"])),
        account_id=place["aws_account_id"],
        source_arn=place.get("aws_event_source_arn") or "",
        source_status=place.get("aws_event_source_status") or "unknown",
        events_from=tuple(document.get("events_from") or (ITSELF,)),
        reason=disabled.get("reason", ""),
        metadata=document.get("metadata") or {},
    )
