"""The counts, links and alarms on the picture of the architecture."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from functions.shared import names
from ops.architecture.drawing import draw
from ops.architecture.topology import FUNCTION, RULE, Box, Lane, Topology
from ops.web.alarms import Alarm
from ops.web.flow_overlay import FlowOverlay
from ops.web.metrics import WINDOWS, Graph, Reading, Series
from ops.web.templates import code

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BUS = "aws.partner/stripe.com/ed_1"
QUEUE = "SQS queue"


def counted(namespace: str, name: str, resource: str, value: float) -> Series:
    return Series(name, namespace, name, "Sum", resource, ((NOW, value),))


def alarm(part: str, kind: str, about: str, *, on: bool = True) -> Alarm:
    return Alarm(part, on, "on", "It means something.", "dlq-messages", NOW, frozenset({(kind, about)}))


# The rule and the function of payments have the same name in AWS, and each a metric Invocations.
PAYMENTS = "huntaze-stripe-payments-dev"
SERIES = (
    counted("AWS/Events", "Events", BUS, 55),
    counted("AWS/Events", "MatchedEvents", PAYMENTS, 25),
    counted("AWS/Events", "Invocations", PAYMENTS, 24),
    counted("AWS/Lambda", "Invocations", PAYMENTS, 26),
    counted(names.METRICS_NAMESPACE, names.EVENTS_APPLIED, "payments", 14),
    counted(names.METRICS_NAMESPACE, names.EVENTS_APPLIED, "payments", 12_286),
    counted(names.METRICS_NAMESPACE, names.EVENTS_PARKED, "payments", 3),
    counted("AWS/SQS", "NumberOfMessagesDeleted", "huntaze-stripe-events-dev.fifo", 53),
)
SOURCE, PARTNER = Box(("Stripe",), "event source"), Box(("partner bus",), "EventBridge")
RULES, HANDLER, DEAD = Box(("payments",), RULE), Box(("payments",), FUNCTION), Box(("payments-dlq",), QUEUE)
LANE = Lane(RULES, None, HANDLER, (Box(("Huntaze API",), "outside of AWS"),), [(DEAD, {"rules", "function"})])
TOPOLOGY = Topology(
    source=SOURCE,
    bus=PARTNER,
    bus_failures=None,
    archive=Box(("archive",), "kept 30 days"),
    lanes=[LANE],
    runs=[],
    alarms=Box(("alarms",), "CloudWatch"),
    topic=Box(("alerts",), "SNS topic"),
    subscribers=Box(("on call",), "email"),
)


def overlay(*alarms: Alarm, waiting: int = 0) -> FlowOverlay:
    reading = Reading(WINDOWS[0], NOW, (Graph("all", "events", SERIES),))
    return FlowOverlay("dev", BUS, reading, {"payments-dlq": waiting}, alarms, "/waiting/{}".format)


def texts(shown: FlowOverlay, left: Box, right: Box) -> list[str]:
    return [each.text for each in shown.on_line(left, right)]


def test_each_line_has_the_count_of_its_own_metric() -> None:
    shown = overlay()
    assert texts(shown, SOURCE, PARTNER) == ["55 in"]
    assert texts(shown, PARTNER, RULES) == ["25 matched"]
    assert texts(shown, RULES, HANDLER) == ["24 invoked"]
    assert texts(shown, HANDLER, LANE.sinks[0]) == ["12.3k applied", "0 recorded", "0 duplicate", "0 stale"]
    assert texts(shown, HANDLER, DEAD) == ["3 parked"]
    assert texts(shown, Box(("audit",), FUNCTION), Box(("ledger",), "S3 bucket")) == ["53 audited"]
    # Nothing was undeliverable, so that its line has no count.
    assert texts(shown, RULES, DEAD) == []


def test_a_count_leads_to_its_events() -> None:
    (label, *_) = overlay().on_line(HANDLER, LANE.sinks[0])
    assert label.href == "/events?handler=payments&outcome=applied"


def test_an_alarm_is_lit_at_what_it_is_about_and_nowhere_else() -> None:
    on = alarm("payments-dlq-messages", "SQS", "payments-dlq")
    off = alarm("payments-errors", FUNCTION, "payments", on=False)
    shown = overlay(on, off, waiting=2)
    mark = shown.on_box(DEAD)
    assert mark is not None
    assert (mark.alarm, mark.tone, mark.note) == (True, "bad", "2")
    assert mark.href == "/waiting/payments-dlq"
    assert mark.label == "payments-dlq: 2 waiting, alarm payments-dlq-messages is on"
    assert shown.on_box(HANDLER) is None


def test_a_rule_and_a_function_of_one_name_have_alarms_of_their_own() -> None:
    shown = overlay(alarm("payments-parked", FUNCTION, "payments"))
    mark = shown.on_box(HANDLER)
    assert mark is not None
    assert mark.alarm
    assert shown.on_box(RULES) is None


def test_a_box_of_several_queues_leads_to_the_one_in_which_something_waits() -> None:
    shown = replace(overlay(), depths={"a-dlq": 0, "b-dlq.fifo": 3})
    mark = shown.on_box(Box(("a-dlq", "b-dlq"), "SQS queues"))
    assert mark is not None
    assert (mark.note, mark.href) == ("3", "/waiting/b-dlq.fifo")


def test_an_empty_queue_without_an_alarm_is_calm() -> None:
    mark = overlay().on_box(DEAD)
    assert mark is not None
    assert (mark.alarm, mark.tone, mark.note) == (False, "", "0")


def test_the_picture_has_every_count_once_and_ids_that_differ() -> None:
    drawn = draw(TOPOLOGY, overlay=overlay(waiting=1))
    root = Xml.fromstring(drawn)  # noqa: S314 (our own text)
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    counts = re.findall(r'<text class="count[^>]*>([^<]+)', drawn)
    assert sorted(counts) == sorted(
        [
            "55 in",
            "25 matched",
            "24 invoked",
            "12.3k applied",
            "0 recorded",
            "0 duplicate",
            "0 stale",
            "3 parked",
        ]
    )
    assert root.attrib["role"] == "group"
    assert "<style" not in drawn
    assert " style=" not in drawn


def test_what_stands_between_backticks_is_code_and_nothing_is_markup() -> None:
    assert code("`dlq list` shows <b>why</b>, `<i>`") == (
        "<code>dlq list</code> shows &lt;b&gt;why&lt;/b&gt;, <code>&lt;i&gt;</code>"
    )


def test_what_no_rule_could_deliver_leads_to_its_queue() -> None:
    shown = overlay()
    undelivered = counted("AWS/Events", "InvocationsSentToDlq", PAYMENTS, 2)
    reading = Reading(WINDOWS[0], NOW, (Graph("all", "events", (undelivered,)),))
    (label,) = replace(shown, reading=reading).on_line(RULES, DEAD)
    assert (label.text, label.href) == ("2 undelivered", "/waiting/payments-dlq")
    (parked,) = shown.on_line(HANDLER, DEAD)
    assert parked.href == "/events?outcome=parked"
