"""How one event is applied: its effect, its object's order, and the call of the API with its attempts.

Runs inside the event's idempotency record, so that two deliveries of one event are never here together.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from functions.pipeline import effects, names, streams, telemetry
from functions.pipeline.api import ATTEMPT_SECONDS, JUDGED, HuntazeApi
from functions.pipeline.config import DeliverySettings
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.errors import DoubtfulRefusalError, EventError, PermanentError
from functions.pipeline.objects import own_id
from functions.pipeline.refetch import present_state
from functions.pipeline.retry import ATTEMPTS, Result, remaining_seconds, retry
from functions.pipeline.route import LATEST, ONCE, Request, Route
from functions.pipeline.table import Table, digest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Characters of a body's hash that tell two states of an object apart.
STATE_DIGITS: Final = 16
# Whoever holds an object's lease gives it up within seconds, so the invocation's time is the limit.
LEASE_ATTEMPTS: Final = 20

Claim: TypeAlias = effects.Effect | streams.Turn


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
    def table(self) -> Table:
        """The idempotency table."""
        return Table(self.settings.idempotency_table, self.settings.idempotency_expiry_seconds)

    @property
    def by_hand(self) -> bool:
        """Whether a person asked that this delivery settles an earlier call of unknown outcome."""
        client = self.context.client_context
        return client is not None and (client.custom or {}).get(names.SETTLE) is True

    @property
    def object(self) -> tuple[str | None, ...]:
        """Identify the object that the event is about."""
        return self.event.account, self.route.stream, own_id(self.event.object)


def apply(*, idempotency_key: str, delivery: Delivery) -> dict[str, Any]:
    """Apply an event and return what became of it: ``outcome``, ``event_type`` and ``path``.

    Raises
    ------
    EventError
        Why it was not applied.
    """
    request = delivery.request
    if request is None:
        outcome = telemetry.RECORDED
    elif delivery.route.repeat == ONCE:
        outcome = _once(delivery, request, idempotency_key)
    elif delivery.route.repeat == LATEST:
        outcome = _latest(delivery, request, idempotency_key)
    else:
        outcome = _call(delivery, request, idempotency_key)
    return {
        "outcome": outcome,
        "event_type": delivery.event.type,
        "path": request.path if request else None,
    }


def _once(delivery: Delivery, request: Request, idempotency_key: str) -> str:
    # A forced replay brings the effect about again, and once more only.
    about = (*delivery.object, delivery.event.type, request.path, delivery.forced_by)
    try:
        effect = _retry(
            delivery,
            lambda: effects.claim(delivery.table, idempotency_key, *about, by_hand=delivery.by_hand),
        )
    except effects.EffectDoneError:
        return telemetry.DUPLICATE
    if effect.done:
        return telemetry.APPLIED

    def call() -> str:
        return _call(delivery, request, idempotency_key, effect)

    def end() -> str:
        stream = _stream(delivery, idempotency_key)
        return _settled(_turn(delivery, stream.end), call)

    ends_stream = delivery.route.ends_stream and delivery.settings.order != names.OFF
    return _settled(effect, end if ends_stream else call)


def _latest(delivery: Delivery, request: Request, idempotency_key: str) -> str:
    order = delivery.settings.order
    if order == names.OFF:
        return _call(delivery, request, idempotency_key)
    stream = _stream(delivery, idempotency_key)
    if order == names.REFETCH:
        turn = _turn(delivery, stream.hold)
        return _settled(turn, lambda: _call_with_present_state(delivery, idempotency_key))
    try:
        turn = _turn(delivery, stream.advance)
    except streams.StaleEventError:
        return telemetry.STALE
    return _settled(turn, lambda: _call(delivery, request, idempotency_key, turn))


def _stream(delivery: Delivery, idempotency_key: str) -> streams.Stream:
    # An object's end is newer than every state of its second.
    created = delivery.event.created + delivery.route.ends_stream
    return streams.stream(
        delivery.table, idempotency_key, created, *delivery.object, by_hand=delivery.by_hand
    )


def _turn(delivery: Delivery, take: Callable[[float], streams.Turn]) -> streams.Turn:
    return _retry(delivery, lambda: take(remaining_seconds(delivery.context)), attempts=LEASE_ATTEMPTS)


def _settled(claim: Claim, call: Callable[[], str]) -> str:
    """Call the API for what was claimed, and remember what is known of its end."""
    try:
        outcome = call()
    except DoubtfulRefusalError:
        _remember(claim.doubt)
        raise
    except PermanentError:
        claim.not_applied()
        raise
    except EventError as error:
        with suppress(EventError):  # a claim that is kept is safe; why the event failed is what counts
            if error.unknown_end or claim.called:
                claim.let_go()
            else:
                claim.not_applied()
        raise
    _remember(claim.applied)
    return outcome


def _remember(write: Callable[[], None]) -> None:
    try:
        write()
    except EventError as failure:
        failure.unknown_end = True
        raise


def _call_with_present_state(delivery: Delivery, idempotency_key: str) -> str:
    route = delivery.route
    state = _retry(
        delivery,
        lambda: present_state(
            delivery.event,
            kind=route.stream.rpartition(".")[2],
            table=delivery.table,
            reads_per_second=delivery.settings.stripe_reads_per_second,
        ),
    )
    if state.get("deleted") is True:
        # There is nothing to update; the deletion is an event of its own.
        return telemetry.STALE
    request = route.request(state)
    if request is None:
        return telemetry.RECORDED
    # The next attempt may meet a newer state, and one key stands for one body.
    return _call(delivery, request, f"{idempotency_key}:{digest(dict(request.body))[:STATE_DIGITS]}")


def _call(delivery: Delivery, request: Request, idempotency_key: str, claim: Claim | None = None) -> str:
    """Call the API; ``claim`` tells what is known of earlier deliveries' calls."""
    api = HuntazeApi(delivery.settings.api_url, delivery.settings.api_key)
    called = claim is not None and claim.called and not claim.last_word

    def attempt() -> None:
        nonlocal called
        try:
            with telemetry.api_latency():
                api.post(request, delivery.event, idempotency_key)
        except PermanentError as refusal:
            if called and refusal.status != JUDGED:
                raise _doubtful(refusal) from refusal
            raise
        except EventError as failure:
            called = failure.unknown_end = called or failure.unknown_end
            raise

    _retry(delivery, attempt)
    return telemetry.APPLIED


def _doubtful(refusal: PermanentError) -> DoubtfulRefusalError:
    return DoubtfulRefusalError(
        f"{refusal.reason}, after a call of unknown end",
        status=refusal.status,
        path=refusal.path,
        answer=refusal.answer,
    )


def _retry(delivery: Delivery, action: Callable[[], Result], *, attempts: int = ATTEMPTS) -> Result:
    return retry(action, context=delivery.context, attempt_seconds=ATTEMPT_SECONDS, attempts=attempts)
