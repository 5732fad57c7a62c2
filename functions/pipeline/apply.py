"""How one event is applied: what it needs, the call of the API with its attempts, and what is known then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline import claims, outcomes
from functions.pipeline.api import AFTER_DOUBT, ATTEMPT_SECONDS, HuntazeApi
from functions.pipeline.claims import Claim, Wanted
from functions.pipeline.effects import EffectDoneError, effect_key
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.idempotency import idempotency_id
from functions.pipeline.idempotency_table import Table, digest
from functions.pipeline.objects import StripeObject, own_id
from functions.pipeline.ordering import BusyError, StaleEventError, State, stream_key
from functions.pipeline.refetch import present_state
from functions.pipeline.route import LATEST, ONCE, Request, Route
from functions.shared import names, settings
from functions.shared.errors import (
    DoubtfulRefusalError,
    EventError,
    InvalidEventError,
    PermanentError,
    UnsettledError,
)
from functions.shared.retry import Result, remaining_seconds, retry, wait_before
from functions.shared.settings import DeliverySettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Characters of a body's hash that tell two states of an object apart.
STATE_DIGITS: Final = 16
# Waits for another event of the object, some four seconds in all: most calls of the API end within one.
BUSY_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to the API.

    Parameters
    ----------
    request
        The call that the event's own object leads to; None where no call is due.
    forced_by
        Name of the forced replay for which the event is applied again; None otherwise.
    """

    event: StripeEvent
    route: Route
    request: Request | None
    settings: DeliverySettings
    context: LambdaContext
    forced_by: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the event's id, and the forced replay's name where one applies it again."""
        return self.event.id if self.forced_by is None else f"{self.event.id}:{self.forced_by}"

    @property
    def table(self) -> Table:
        """The idempotency table."""
        return Table(self.settings.idempotency_table, self.settings.idempotency_expiry_seconds)

    @property
    def settles(self) -> bool:
        """Whether a person asked that the API's answer ends the doubt that an earlier call left."""
        client = self.context.client_context
        return client is not None and (client.custom or {}).get(names.SETTLE) is True

    @property
    def object(self) -> tuple[str | None, ...]:
        """Identify the object that the event is about."""
        return self.event.account, self.route.stream, own_id(self.event.object)

    def result(self, outcome: str) -> dict[str, Any]:
        """Return what the handler returns for an outcome."""
        return {
            "outcome": outcome,
            "event_type": self.event.type,
            "path": self.request.path if self.request else None,
        }


def apply(delivery: Delivery) -> dict[str, Any]:
    """Apply an event and return what became of it: ``outcome``, ``event_type`` and ``path``.

    Raises
    ------
    CompletedError
        It was done before.
    EventError
        Why it was not applied.
    """
    wanted = _wanted(delivery)
    if delivery.request is None:
        return _settled(delivery, wanted, outcomes.RECORDED)
    try:
        claim = _begin(delivery, wanted)
    except EffectDoneError as done:
        own = done.by == delivery.key
        return _settled(delivery, wanted, outcomes.APPLIED if own else outcomes.DUPLICATE)
    except StaleEventError:
        return _settled(delivery, wanted, outcomes.STALE)
    if delivery.route.repeat == LATEST and _fetches(delivery, claim):
        return _send_present_state(delivery, claim)
    _call(delivery, claim, delivery.request, delivery.key)
    result = delivery.result(outcomes.APPLIED)
    _retry(delivery, lambda: claim.complete(result))
    return result


def _wanted(delivery: Delivery) -> Wanted:
    route, request = delivery.route, delivery.request
    record = idempotency_id(route.handler, delivery.key)
    if request is None or route.repeat not in (ONCE, LATEST):
        return Wanted(delivery.key, record)
    effect = state = None
    if route.repeat == ONCE:
        # A forced replay brings the effect about again, and once more only.
        effect = effect_key(*delivery.object, delivery.event.type, request.path, delivery.forced_by)
    if route.repeat == LATEST or route.ends_stream:
        state = _state(delivery, request)
    return Wanted(delivery.key, record, effect, stream_key(*delivery.object) if state else None, state)


def _state(delivery: Delivery, request: Request) -> State:
    before = _before(delivery)
    return State(
        delivery.key,
        delivery.event.created,
        delivery.settings.order,
        is_end=delivery.route.ends_stream,
        after=_digest(request),
        before=None if before is None else _digest(before),
    )


def _before(delivery: Delivery) -> Request | None:
    """Map the object as it was just before the event; None where the event does not tell."""
    if delivery.event.previous is None:
        return None
    try:
        return delivery.route.request(_with_previous(delivery.event.object, delivery.event.previous))
    except InvalidEventError:
        return None


def _with_previous(stripe_object: StripeObject, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Put the previous values in place of the present ones; null stands for what was not there.

    Stripe API reference, "The Event object", ``data.previous_attributes``.
    """
    merged = dict(stripe_object)
    for name, value in previous.items():
        present = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(present, dict):
            merged[name] = _with_previous(present, value)
        else:
            merged[name] = value
    return merged


def _begin(delivery: Delivery, wanted: Wanted) -> Claim:
    name = claims.new_claim()
    for attempt in range(1, BUSY_ATTEMPTS + 1):
        try:
            return _retry(
                delivery,
                lambda: claims.begin(
                    delivery.table, wanted, name, time.time() + remaining_seconds(delivery.context)
                ),
            )
        except BusyError as busy:
            wait = wait_before(attempt)
            if attempt == BUSY_ATTEMPTS or wait + ATTEMPT_SECONDS > remaining_seconds(delivery.context):
                raise UnsettledError(str(busy)) from busy
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _settled(delivery: Delivery, wanted: Wanted, outcome: str) -> dict[str, Any]:
    result, name = delivery.result(outcome), claims.new_claim()
    _retry(delivery, lambda: claims.settle(delivery.table, wanted, name, result))
    return result


def _fetches(delivery: Delivery, claim: Claim) -> bool:
    """Whether the object's present state is sent in place of the event's."""
    if delivery.settings.order == names.REFETCH:
        return True
    return claim.undecided and settings.secret(names.STRIPE_SECRET_KEY) is not None


def _send_present_state(delivery: Delivery, claim: Claim) -> dict[str, Any]:
    route = delivery.route
    fetched_at = time.time()
    try:
        state = _retry(
            delivery,
            lambda: present_state(
                delivery.event,
                kind=route.stream.rpartition(".")[2],
                table=delivery.table,
                reads_per_second=delivery.settings.stripe_reads_per_second,
            ),
        )
        request = None if state.get("deleted") is True else route.request(state)
    except EventError:
        _give_up(claim, doubt=claim.doubt, at_work=False)
        raise
    if request is None:
        # There is nothing to update: the deletion is an event of its own.
        result = delivery.result(outcomes.STALE)
        claim.dismiss(result)
        return result
    # The next attempt may meet a newer state, and one key stands for one body.
    body = _digest(request)
    _call(delivery, claim, request, f"{delivery.key}:{body[:STATE_DIGITS]}")
    result = delivery.result(outcomes.APPLIED)
    _retry(delivery, lambda: claim.complete(result, fetched_at=fetched_at, body=body))
    return result


def _call(delivery: Delivery, claim: Claim, request: Request, idempotency_key: str) -> None:
    """Call the API until it has applied the request; otherwise write what is known of the outcome."""
    api = HuntazeApi(delivery.settings.api_url, delivery.settings.api_key)
    # A person's word is about earlier calls. One of this invocation may still be at work, whoever asked.
    doubt, settles, at_work = claim.doubt, delivery.settles, False

    def attempt() -> None:
        nonlocal doubt, settles, at_work
        try:
            with outcomes.api_latency():
                api.post(request, delivery.event, idempotency_key, doubt=doubt, settles=settles)
        except EventError as failure:
            doubt = doubt or failure.unknown_outcome
            settles = settles and not failure.unknown_outcome
            at_work = at_work or failure.at_work
            raise

    try:
        _retry(delivery, attempt)
    except EventError as failure:
        judged = isinstance(failure, PermanentError) and not isinstance(failure, DoubtfulRefusalError)
        # A fetched state's refusal judges that state, and not the one that an earlier call brought.
        another = claim.doubt and idempotency_key != delivery.key and not delivery.settles
        _give_up(claim, doubt=doubt and (another or not judged), at_work=at_work)
        if judged and another and isinstance(failure, PermanentError):
            raise DoubtfulRefusalError(
                f"{failure.reason}, {AFTER_DOUBT}",
                status=failure.status,
                path=failure.path,
                answer=failure.answer,
            ) from failure
        raise


def _give_up(claim: Claim, *, doubt: bool, at_work: bool) -> None:
    # A claim that is kept is safe; why the event failed is what counts.
    with suppress(EventError):
        if doubt:
            claim.leave(at_work=at_work)
        else:
            claim.release()


def _retry(delivery: Delivery, action: Callable[[], Result]) -> Result:
    return retry(action, context=delivery.context, attempt_seconds=ATTEMPT_SECONDS)


def _digest(request: Request) -> str:
    return digest(dict(request.body))
