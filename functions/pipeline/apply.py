"""Apply one event: claim its items, call the API with retries, and write what is known of the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline import claims, outcomes
from functions.pipeline.api import AFTER_UNKNOWN_OUTCOME, ATTEMPT_SECONDS, HuntazeApi
from functions.pipeline.claims import Claim, ClaimItems
from functions.pipeline.effects import EffectDoneError, effect_key
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.idempotency import record_key
from functions.pipeline.idempotency_table import Table, digest
from functions.pipeline.objects import StripeObject, own_id
from functions.pipeline.ordering import BusyError, StaleEventError, State, states_key
from functions.pipeline.refetch import fetch_object
from functions.pipeline.route import LATEST, ONCE, Request, Route
from functions.shared import names, settings
from functions.shared.errors import (
    DoubtfulRefusalError,
    EventError,
    InvalidEventError,
    PermanentError,
    UnsettledError,
)
from functions.shared.retry import Result, remaining_seconds, retry, wait_after
from functions.shared.settings import DeliverySettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Characters of a body's hash that distinguish two states of an object.
STATE_DIGITS: Final = 16
# Attempts to claim an event while another event of its object is being applied. The waits between them take
# about four seconds; most API calls end within one.
BUSY_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of an event at its handler.

    Parameters
    ----------
    request
        The API request for the event's own object, or None if the event needs no call. That of a thin event
        has no body until the object is fetched.
    reapplied_by
        Name of the forced replay that applies the event once more, else None.
    """

    event: StripeEvent
    route: Route
    request: Request | None
    settings: DeliverySettings
    context: LambdaContext
    reapplied_by: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the event's id, and the forced replay's name if one applies it again."""
        return self.event.id if self.reapplied_by is None else f"{self.event.id}:{self.reapplied_by}"

    @property
    def table(self) -> Table:
        """The idempotency table."""
        return Table(self.settings.idempotency_table, self.settings.idempotency_expiry_seconds)

    @property
    def settles(self) -> bool:
        """Whether an operator accepts the API's answer as the outcome of an earlier call (`--settle`)."""
        client = self.context.client_context
        return client is not None and (client.custom or {}).get(names.SETTLE) is True

    @property
    def object(self) -> tuple[str | None, ...]:
        """What identifies the event's object: account, type and id."""
        return self.event.account, self.route.object_type, own_id(self.event.object)

    def result(self, outcome: str) -> dict[str, Any]:
        """Return what the handler returns for an outcome."""
        return {
            "outcome": outcome,
            "event_type": self.event.type,
            "path": self.request.path if self.request else None,
        }


def apply(delivery: Delivery) -> dict[str, Any]:
    """Apply an event and return its `outcome`, `event_type` and `path`.

    Raises
    ------
    CompletedError
        The event was completed before.
    EventError
        Why the event was not applied.
    """
    if delivery.event.is_reference and delivery.route.has_modes:
        # The path, by which a second event of the same effect is known, depends on the object.
        delivery = _with_object(delivery)
    items = _claim_items(delivery)
    if delivery.request is None:
        return _complete_without_call(delivery, items, outcomes.RECORDED)
    try:
        claim = _begin(delivery, items)
    except EffectDoneError as done:
        own = done.by == delivery.key
        return _complete_without_call(delivery, items, outcomes.APPLIED if own else outcomes.DUPLICATE)
    except StaleEventError:
        return _complete_without_call(delivery, items, outcomes.STALE)
    if _fetches(delivery, claim):
        return _send_fetched_state(delivery, claim)
    _call(delivery, claim, delivery.request, delivery.key)
    result = delivery.result(outcomes.APPLIED)
    _retry(delivery, lambda: claim.complete(result))
    return result


def _claim_items(delivery: Delivery) -> ClaimItems:
    route, request = delivery.route, delivery.request
    record = record_key(route.handler, delivery.key)
    if request is None or route.repeat not in (ONCE, LATEST):
        return ClaimItems(delivery.key, record)
    effect = state = None
    if route.repeat == ONCE:
        # A forced replay repeats the effect, once.
        effect = effect_key(*delivery.object, delivery.event.type, request.path, delivery.reapplied_by)
    if route.repeat == LATEST or route.ends_object:
        state = _state(delivery, request)
    return ClaimItems(delivery.key, record, effect, states_key(*delivery.object) if state else None, state)


def _state(delivery: Delivery, request: Request) -> State:
    before, event = _before(delivery), delivery.event
    return State(
        delivery.key,
        event.created,
        # The state of a thin event is always fetched.
        delivery.settings.order if event.thin_id is None else names.REFETCH,
        is_end=delivery.route.ends_object,
        after=None if event.is_reference else _digest(request),
        before=None if before is None else _digest(before),
    )


def _before(delivery: Delivery) -> Request | None:
    """Map the object as it was just before the event; None if the event does not say."""
    if delivery.event.previous is None:
        return None
    try:
        return delivery.route.request(_with_previous(delivery.event.object, delivery.event.previous))
    except InvalidEventError:
        return None


def _with_previous(stripe_object: StripeObject, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Replace current values by previous ones; null means that there was no value.

    Stripe API reference, "The Event object", `data.previous_attributes`.
    """
    merged = dict(stripe_object)
    for name, value in previous.items():
        current = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(current, dict):
            merged[name] = _with_previous(current, value)
        else:
            merged[name] = value
    return merged


def _begin(delivery: Delivery, items: ClaimItems) -> Claim:
    claim_id = claims.new_claim_id()
    for attempt in range(1, BUSY_ATTEMPTS + 1):
        try:
            return _retry(
                delivery,
                lambda: claims.begin(
                    delivery.table, items, claim_id, time.time() + remaining_seconds(delivery.context)
                ),
            )
        except BusyError as busy:
            wait = wait_after(attempt)
            if attempt == BUSY_ATTEMPTS or wait + ATTEMPT_SECONDS > remaining_seconds(delivery.context):
                raise UnsettledError(str(busy)) from busy
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _complete_without_call(delivery: Delivery, items: ClaimItems, outcome: str) -> dict[str, Any]:
    result, claim_id = delivery.result(outcome), claims.new_claim_id()
    _retry(delivery, lambda: claims.complete_without_call(delivery.table, items, claim_id, result))
    return result


def _fetches(delivery: Delivery, claim: Claim) -> bool:
    """Whether to send the object's current state, because a newer one may exist or the event has none."""
    if delivery.event.is_reference:
        return True
    if delivery.route.repeat != LATEST:
        return False
    if delivery.settings.order == names.REFETCH:
        return True
    try:
        return claim.undecided and settings.secret(names.STRIPE_SECRET_KEY) is not None
    except EventError:
        _end_claim(claim, doubt=claim.doubt, in_flight=False)
        raise


def _send_fetched_state(delivery: Delivery, claim: Claim) -> dict[str, Any]:
    route = delivery.route
    fetched_at = time.time()
    try:
        state = _fetch(delivery)
        # The deletion has an event of its own.
        request = None if _is_gone(state, route) else route.request(state)
    except EventError as failure:
        refused = isinstance(failure, PermanentError | InvalidEventError)
        doubt = claim.doubt and not (refused and delivery.settles)
        _end_claim(claim, doubt=doubt, in_flight=False, refused=refused)
        if doubt and isinstance(failure, PermanentError):
            raise _doubtful(failure) from failure
        raise
    if request is None:
        result = delivery.result(outcomes.STALE)
        claim.complete_without_call(result)
        return result
    result = delivery.result(outcomes.APPLIED)
    if route.repeat != LATEST:
        # Whatever state is sent, it must count once: the key is that of the snapshot event.
        _call(delivery, claim, request, delivery.key)
        _retry(delivery, lambda: claim.complete(result))
        return result
    # The next delivery may fetch a newer state, and an idempotency key belongs to one body.
    body = _digest(request)
    _call(delivery, claim, request, f"{delivery.key}:{body[:STATE_DIGITS]}")
    _retry(delivery, lambda: claim.complete(result, fetched_at=fetched_at, body=body))
    return result


def _with_object(delivery: Delivery) -> Delivery:
    """Fetch the object of a thin event before the event is claimed."""
    event = replace(delivery.event, object=_fetch(delivery), is_reference=False)
    return replace(delivery, event=event, request=delivery.route.request(event.object))


def _fetch(delivery: Delivery) -> StripeObject:
    return _retry(
        delivery,
        lambda: fetch_object(
            delivery.event,
            object_type=delivery.route.object_name,
            table=delivery.table,
            reads_per_second=delivery.settings.stripe_reads_per_second,
        ),
    )


def _is_gone(state: StripeObject, route: Route) -> bool:
    return state.get("deleted") is True and not route.ends_object


def _call(delivery: Delivery, claim: Claim, request: Request, idempotency_key: str) -> None:
    """Call the API until it has applied the request, or end the claim by what is known of the outcome.

    =================  =====  ==========  =======================  ======================
    last attempt       doubt  other body  the claim                raised
    =================  =====  ==========  =======================  ======================
    applied                               completed by the caller
    failed or refused  no                 released                 its error
    refused            yes    no          released                 its error
    refused            yes    yes         outcome unknown          `DoubtfulRefusalError`
    failed             yes                outcome unknown          its error
    =================  =====  ==========  =======================  ======================

    `doubt`: a call of this or an earlier delivery may have applied the event. Other body: the refused request
    is a fetched state, and the earlier call sent another body, about which the refusal says nothing.
    """
    api = HuntazeApi(delivery.settings.api_url, delivery.settings.api_key)
    # An operator settles earlier calls only: a call of this invocation may still be in flight.
    doubt, settles, in_flight = claim.doubt, delivery.settles, False

    def attempt() -> None:
        nonlocal doubt, settles, in_flight
        try:
            with outcomes.api_call(request.path) as call:
                call.status = api.post(request, delivery.event, idempotency_key, doubt=doubt, settles=settles)
        except EventError as failure:
            doubt = doubt or failure.unknown_outcome
            settles = settles and not failure.unknown_outcome
            in_flight = in_flight or failure.in_flight
            raise

    try:
        _retry(delivery, attempt)
    except EventError as failure:
        refused = isinstance(failure, PermanentError) and not isinstance(failure, DoubtfulRefusalError)
        fetched = idempotency_key != delivery.key or delivery.event.thin_id is not None
        other_body = claim.doubt and fetched and not delivery.settles
        unknown = doubt and (other_body or not refused)
        _end_claim(claim, doubt=unknown, in_flight=in_flight, refused=refused)
        if refused and other_body and isinstance(failure, PermanentError):
            raise _doubtful(failure) from failure
        raise


def _doubtful(refusal: PermanentError) -> DoubtfulRefusalError:
    """Turn a refusal that says nothing about an earlier call into one that says so."""
    return DoubtfulRefusalError(
        f"{refusal.reason} {AFTER_UNKNOWN_OUTCOME}",
        status=refusal.status,
        path=refusal.path,
        answer=refusal.answer,
    )


def _end_claim(claim: Claim, *, doubt: bool, in_flight: bool, refused: bool = False) -> None:
    """End a claim after a failure, which the caller raises.

    An error of the table is ignored: a claim that is kept is safe. Only after a refusal without doubt it is
    raised instead of the refusal: the event would be parked as refused, while the table says that its outcome
    is unknown.
    """
    try:
        if doubt:
            claim.mark_unknown(in_flight=in_flight)
        else:
            claim.release()
    except EventError:
        if refused and not doubt:
            raise


def _retry(delivery: Delivery, action: Callable[[], Result]) -> Result:
    return retry(action, context=delivery.context, attempt_seconds=ATTEMPT_SECONDS)


def _digest(request: Request) -> str:
    return digest(dict(request.body))
