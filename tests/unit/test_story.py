"""What a story says about an event: its outcome, why, its timeline and what can't be known."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from functions.dead_letters.message import parse
from functions.dead_letters.queue import DeadLetterQueue
from ops.console import PlainConsole
from ops.dlq.mask import MASKED
from ops.dlq.queues import NamedQueue
from ops.function_log import LogLine
from ops.local.envelopes import sample
from ops.replay.rules import Rule
from ops.story import text
from ops.story.attempts import attempts
from ops.story.composition import compose
from ops.story.facts import Delivery, Facts
from ops.story.story import Moment, Story

NOW = 1_800_000_000.0
PATH = "/api/billing/payment-succeeded"


def delivered(event_type: str = "payment_intent.succeeded", **envelope: Any) -> Delivery:
    whole = sample(event_type) | {"time": "2027-01-15T07:59:00Z"} | envelope
    record = {
        "event_id": whole["detail"]["id"],
        "event_type": event_type,
        "received_at": "2027-01-15T07:59:00.500+00:00",
        "envelope": whole,
    }
    return Delivery("audit/dt=2027-01-15/1.jsonl.gz", record)


ARRIVED = delivered().received_at


def line(seconds: float, function: str = "payments", request: str = "r1", **record: Any) -> LogLine:
    return LogLine(function, ARRIVED + seconds, record | {"function_request_id": request})


def platform(seconds: float, kind: str, request: str = "r1", **record: Any) -> LogLine:
    return LogLine(
        "payments", ARRIVED + seconds, {"type": f"platform.{kind}", "record": record | {"requestId": request}}
    )


def call(seconds: float, status: int | None, milliseconds: float = 30.0) -> dict[str, Any]:
    return {"path": PATH, "status": status, "at": round((ARRIVED + seconds) * 1000), "ms": milliseconds}


def composed(*, event_type: str = "payment_intent.succeeded", reveal: bool = False, **known: Any) -> Story:
    delivery = delivered(event_type)
    facts: dict[str, Any] = {"deliveries": (delivery,), "now": NOW} | known
    return compose(Facts(delivery.record["event_id"], "dev", **facts), reveal=reveal)


def item(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"id": f"{kind}#hash", "expiration": int(NOW) + 60, **attributes}


def sentences(story: Story, place: str) -> list[str]:
    return [moment.sentence for moment in story.moments if moment.place == place]


def test_applied_event_says_which_call_applied_it() -> None:
    end = line(0.2, message="event finished", outcome="applied", api_call=call(0.1, 200))
    story = composed(lines=(platform(0.05, "start"), end))
    assert (story.outcome, story.attempts, story.latency_ms) == ("applied", 1, 200.0)
    assert story.why == f"the Huntaze API applied it: POST {PATH} answered 200 after 30 ms"
    assert [(one.path, one.status, one.milliseconds) for one in story.calls] == [(PATH, 200, 30.0)]


def test_failed_calls_and_attempts_stand_in_their_order() -> None:
    first = call(0.1, 503)
    lines = (
        platform(0.05, "start"),
        line(0.2, message="attempt failed", attempt=1, status=503, api_call=first),
        line(0.5, message="event failed", reason="the API answered 503", api_call=call(0.4, 503)),
        platform(0.6, "report", metrics={"durationMs": 550.0}, status="success"),
        platform(60.0, "start"),
        line(60.2, message="event finished", outcome="applied", api_call=call(60.1, 200)),
    )
    story = composed(lines=lines)
    assert [one.status for one in story.calls] == [503, 503, 200]
    assert story.attempts == 2
    assert story.why.endswith("answered 200 after 30 ms, after 1 failed attempt")
    assert sentences(story, "function") == [
        "the function payments begins attempt 1",
        "attempt 1 ends after 550 ms: failed, because the API answered 503",
        "the function payments begins attempt 2",
        "attempt 2 ends: applied",
    ]


def test_line_that_repeats_a_call_does_not_count_it_twice() -> None:
    made = call(0.1, 200)
    lines = (
        line(0.2, message="attempt failed", reason="the idempotency table answered", api_call=made),
        line(0.3, message="event finished", outcome="applied", api_call=made),
    )
    assert len(composed(lines=lines).calls) == 1


def test_attempt_that_lambda_cut_off_says_so() -> None:
    lines = (
        platform(0.0, "start"),
        line(0.1, message="attempt failed", api_call=call(0.0, None)),
        platform(30.0, "report", metrics={"durationMs": 30_000.0}, status="timeout"),
    )
    story = composed(lines=lines)
    assert story.outcome == "waiting"
    assert story.why == "Lambda cut its last attempt off"
    assert "Lambda ends attempt 1 after 30,000 ms, before the handler did (timeout)" in sentences(
        story, "function"
    )
    assert f"POST {PATH}: the Huntaze API gave no answer after 30 ms" in sentences(story, "api")


def test_only_handlers_make_attempts() -> None:
    audited = line(1.0, function="audit", message="event audited", key="audit/x")
    assert attempts([audited]) == ()


@pytest.mark.parametrize(
    ("items", "outcome", "why"),
    [
        (
            [
                item("payments", status="COMPLETED", completed_at=1, data='{"outcome": "duplicate"}'),
                item("effect", idempotency_key="evt_first", done=True),
            ],
            "duplicate",
            "evt_first had the same effect before, so the API was not called again",
        ),
        (
            [item("effect", idempotency_key="evt_first")],
            "waiting",
            "it waits for evt_first, the first event of the same effect, which is not settled",
        ),
        (
            [item("payments", status="INPROGRESS", in_progress_expiration=1)],
            "waiting",
            "its outcome is unknown: a call may have applied it, and no answer settled that",
        ),
    ],
)
def test_records_say_why(items: list[dict[str, Any]], outcome: str, why: str) -> None:
    story = composed(items=tuple(items))
    assert (story.outcome, story.why) == (outcome, why)


def test_state_of_an_object_says_which_newer_event_was_applied_or_is_waited_for() -> None:
    event = delivered("customer.updated").event
    customer = event["data"]["object"]["id"]
    newer = {"applied": event["created"] + 5, "applied_by": "evt_newer:forced-replay"}
    record = item("billing", status="COMPLETED", data='{"outcome": "stale"}')
    story = composed(event_type="customer.updated", items=(record, item("stream", **newer)))
    assert story.why == (
        f"a newer state of {customer} was applied before by evt_newer, so this older one was left out"
    )
    unsettled = {"unsettled": {"evt_other": event["created"] + 5, story.event_id: event["created"]}}
    waiting = composed(event_type="customer.updated", items=(item("stream", **unsettled),))
    assert waiting.why == f"it waits for evt_other, a newer state of {customer}, whose outcome is unknown"
    holder = {"holder": "evt_other", "lease_until": (NOW + 9) * 1000}
    busy = composed(event_type="customer.updated", items=(item("stream", **holder),))
    assert busy.why == "it waits for evt_other of the same object, which is being applied"


def test_expired_items_say_nothing() -> None:
    old = item("effect", idempotency_key="evt_first") | {"expiration": int(NOW) - 1}
    assert composed(items=(old,)).why.startswith("it reached the bus, and no handler")


def parked(answer: str = '{"code": "event_rejected", "for": "jane@example.com"}') -> Any:
    body = {
        "parked": {
            "reason": "the API answered 422",
            "error": "PermanentError",
            "status": 422,
            "endpoint": PATH,
            "answer": answer,
        },
        "envelope": delivered().envelope,
    }
    received = {
        "MessageId": "m1",
        "ReceiptHandle": "h1",
        "Body": json.dumps(body),
        "Attributes": {"SentTimestamp": str(round((ARRIVED + 1) * 1000))},
    }
    client: Any = None  # nothing is asked of the queue
    queue: Any = DeadLetterQueue("huntaze-stripe-payments-dlq-dev", "url", client)
    return parse(received), NamedQueue("payments-dlq", queue)


def test_parked_event_names_reason_code_and_queue_and_masks_the_answer() -> None:
    refused = line(0.3, message="event parked", reason="the API answered 422", api_call=call(0.2, 422))
    story = composed(lines=(refused,), messages=[parked()])
    assert story.outcome == "parked"
    assert story.why == (
        "the API answered 422 (event_rejected): no retry can help, so it waits in "
        "huntaze-stripe-payments-dlq-dev"
    )
    assert story.calls[0].answer == MASKED
    assert "jane@example.com" not in json.dumps(story.document())
    revealed = composed(lines=(refused,), messages=[parked()], reveal=True)
    assert "jane@example.com" in revealed.calls[0].answer


def test_payload_and_request_are_masked_until_they_are_revealed() -> None:
    end = line(0.2, message="event finished", outcome="applied")
    masked, shown = (
        composed(event_type="customer.created", lines=(end,), reveal=reveal) for reveal in (False, True)
    )
    email = delivered("customer.created").event["data"]["object"]["email"]
    assert email not in json.dumps(masked.document())
    assert email in json.dumps(shown.document())


def test_request_is_the_body_that_the_routing_table_makes() -> None:
    end = line(0.2, message="event finished", outcome="applied", api_call=call(0.1, 200))
    (made,) = composed(lines=(end,), reveal=True).calls
    assert made.request["paymentIntentId"] == delivered().event["data"]["object"]["id"]


def test_type_without_a_route_is_unrouted() -> None:
    story = composed(event_type="payout.paid")
    assert (story.outcome, story.attempts) == ("unrouted", 0)
    assert story.why == "no handler takes events of type payout.paid: it is audited, and nothing else"


def test_paused_rule_is_why_nothing_happens() -> None:
    rule = Rule("payments", "arn:aws:events:eu-west-1:1:rule/bus/huntaze-stripe-payments-dev", enabled=False)
    story = composed(rules=(rule,))
    assert (story.outcome, story.why) == ("waiting", "the rule payments is paused, so no handler has got it")
    (sentence,) = sentences(story, "rule")
    assert sentence.endswith("sends it to the function payments; the rule is paused now")


def test_replays_and_reconcile_are_named_in_the_timeline() -> None:
    replayed = delivered(id="again", **{"replay-name": "replay-dev-20270115T080000Z"})
    healed = delivered(id="reconcile-evt")
    story = composed(deliveries=(delivered(), replayed, healed))
    assert sentences(story, "replay") == [
        "the replay replay-dev-20270115T080000Z sends it to the rules again"
    ]
    assert sentences(story, "bus") == [
        "it reaches the event bus",
        "reconcile sends it, because it was missing",
    ]


def test_event_that_nothing_knows_is_unknown() -> None:
    story = compose(Facts("evt_nobody", "dev", NOW, unknown=("what Stripe keeps of it is unknown: no key",)))
    assert story.outcome == "unknown"
    assert (
        story.why
        == "nothing here knows it in this time: check the id and the environment, or look further back"
    )
    assert story.unknown == (
        "what Stripe keeps of it is unknown: no key",
        "the event itself: no source that was asked holds it",
    )


def test_moments_of_one_time_stand_in_the_order_of_the_pipeline() -> None:
    story = composed(rules=(Rule("payments", "arn:aws:events:eu-west-1:1:rule/bus/r"),))
    moments: list[Moment] = [moment for moment in story.moments if moment.at == ARRIVED]
    assert [moment.place for moment in moments] == ["bus", "rule"]


def test_printed_story_obeys_no_event_and_hides_the_payload_until_it_is_revealed() -> None:
    hostile = sample("payment_intent.succeeded")
    hostile["detail"]["type"] = "evil\x1b[2J\u202e[bold]type"
    hostile["detail"]["data"]["object"]["receipt_email"] = "jane@example.com"
    delivery = delivered(**hostile)
    file = io.StringIO()
    console = PlainConsole(file=file, width=120)
    text.show(console, [composed(deliveries=(delivery,), unknown=("x\x1b[31m",))], payload=False)
    printed = file.getvalue()
    assert "[bold]type" in printed
    assert "unknown: x" in printed
    for forbidden in ("\x1b", "\u202e", "jane@example.com"):
        assert forbidden not in printed


def test_several_events_share_one_timeline() -> None:
    first, second = composed(), composed(event_type="customer.created")
    file = io.StringIO()
    console = PlainConsole(file=file, width=160)
    text.show(console, [first, second], payload=False)
    printed = file.getvalue()
    assert printed.count("Timeline") == 1
    assert {first.event_id, second.event_id} <= set(printed.split())


@pytest.mark.parametrize("created", [10**18, -1, "9" * 30, "0001-01-01T00:00:00+23:59", None, [1]])
def test_event_of_an_impossible_time_or_id_has_a_story_without_them(created: Any) -> None:
    hostile = sample("payment_intent.succeeded")
    hostile["detail"]["created"] = created
    hostile["detail"]["data"]["object"]["id"] = "jane doe <jane@example.com>"
    story = composed(deliveries=(delivered(**hostile),))
    assert (story.created, story.object_id) == (None, None)
    assert "jane" not in json.dumps([moment.document() for moment in story.moments])


def test_revealed_story_holds_no_client_secret_of_stripe() -> None:
    event = sample("payment_intent.succeeded")["detail"]
    secret = "pi_3Nq_secret_Kx7"
    event["data"]["object"] |= {"client_secret": secret, "receipt_email": "jane@example.com"}
    story = composed(deliveries=(), at_stripe=event, reveal=True)
    shown = json.dumps(story.document())
    assert "jane@example.com" in shown
    assert "_secret_Kx7" not in shown
    assert story.payload["data"]["object"]["client_secret"] is None
    assert event["data"]["object"]["client_secret"] == secret
