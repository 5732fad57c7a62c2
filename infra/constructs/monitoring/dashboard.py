"""The dashboard: events in, their outcomes, and latency."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from functions.pipeline import routing_table
from functions.shared import names
from infra.constructs.inventory import Inventory
from infra.policy import compact
from infra.resources.base import Capability
from infra.resources.metrics import Metric

# A dashboard is a grid of 24 columns.
_COLUMNS: Final = 24
_WIDTH: Final = 8
_HEIGHT: Final = 6
_ALARMS_HEIGHT: Final = 4


class Dashboard(Capability):
    """The dashboard HuntazeStripeEventBridge-{env}."""

    def __init__(
        self, scope: Construct, id_: str, *, inventory: Inventory, alarm_arns: Sequence[str]
    ) -> None:
        super().__init__(scope, id_)
        account = inventory.account
        self.name = f"HuntazeStripeEventBridge-{account.environment}"
        self.url = (
            f"https://{account.region}.console.aws.amazon.com/cloudwatch/home"
            f"?region={account.region}#dashboards/dashboard/{self.name}"
        )
        graphs = [
            _graph(title, unit, metrics, account.region)
            for title, unit, metrics in (*_deliveries(inventory), *_queues(inventory), *_latency(inventory))
        ]
        self.add(
            CloudwatchDashboard,
            "",
            dashboard_name=self.name,
            dashboard_body=compact({"widgets": [_alarm_states(alarm_arns), *_placed(graphs)]}),
        )


Graph = tuple[str, str, list[Metric]]


def _deliveries(inventory: Inventory) -> list[Graph]:
    rules = inventory.rules.items()
    functions = inventory.functions
    return [
        ("Events from Stripe", "events", [inventory.bus.metric_events().over(label="from Stripe")]),
        (
            "Events matched, by rule",
            "events",
            [rule.metric_matched().over(label=short) for short, rule in rules],
        ),
        (
            "EventBridge invocations, by rule",
            "invocations",
            [rule.metric_invocations().over(label=short) for short, rule in rules],
        ),
        (
            "EventBridge failures, by rule",
            "events",
            [
                metric.over(label=f"{short} {outcome}")
                for short, rule in rules
                for outcome, metric in (
                    ("failed", rule.metric_failed()),
                    ("parked", rule.metric_sent_to_dead_letter()),
                    ("lost", rule.metric_lost()),
                    ("throttled", rule.metric_throttled()),
                )
            ],
        ),
        ("Throughput: events applied, by type", "events", _by_type(inventory, names.EVENTS_APPLIED, "Sum")),
        (
            "Recorded and skipped, by type",
            "events",
            [
                *_by_type(inventory, names.EVENTS_RECORDED, "Sum", suffix=" recorded"),
                *_by_type(inventory, names.DUPLICATES_SKIPPED, "Sum", suffix=" duplicate"),
                *_by_type(inventory, names.STALE_SKIPPED, "Sum", suffix=" stale"),
            ],
        ),
        (
            "Failed invocations and parked events, by type",
            "events",
            [
                *_by_type(inventory, names.EVENTS_FAILED, "Sum", suffix=" failed"),
                *_by_type(inventory, names.EVENTS_PARKED, "Sum", suffix=" parked"),
            ],
        ),
        (
            "Lambda invocations",
            "invocations",
            [function.metric_invocations().over(label=function.family) for function in functions],
        ),
        (
            "Lambda errors",
            "invocations",
            [
                metric.over(label=f"{function.family} {outcome}")
                for function in functions
                for outcome, metric in (
                    ("errors", function.metric_errors()),
                    ("throttles", function.metric_throttles()),
                    ("events dropped", function.metric_events_dropped()),
                    ("not parked", function.metric_destination_failures()),
                )
            ],
        ),
    ]


def _queues(inventory: Inventory) -> list[Graph]:
    queue = inventory.audit.queue
    return [
        (
            "Dead-letter queues: messages",
            "messages",
            [
                metric.over(label=f"{dead.short_name} {state}")
                for dead in inventory.dead_letters
                for state, metric in (
                    ("waiting", dead.metric_visible()),
                    ("in hand", dead.metric_in_flight()),
                )
            ],
        ),
        (
            "Audit queue: messages",
            "messages",
            [queue.metric_visible().over(label="waiting"), queue.metric_in_flight().over(label="in flight")],
        ),
        ("Audit queue: oldest message", "seconds", [queue.metric_oldest_age().over(label="age")]),
    ]


def _latency(inventory: Inventory) -> list[Graph]:
    return [
        (
            "Ingestion to invocation, p99",
            "ms",
            [
                metric.over(label=f"{short} {outcome}")
                for short, rule in inventory.rules.items()
                for outcome, metric in (
                    ("start", rule.metric_start_latency()),
                    ("success", rule.metric_success_latency()),
                )
            ],
        ),
        (
            "Function duration",
            "ms",
            [
                function.metric_duration().over(statistic=statistic, label=f"{function.family} {statistic}")
                for function in inventory.functions
                for statistic in ("p50", "p99")
            ],
        ),
        ("Event age when applied, p99, by type", "ms", _by_type(inventory, names.EVENT_AGE, "p99")),
        ("Huntaze API latency, p99, by type", "ms", _by_type(inventory, names.API_LATENCY, "p99")),
    ]


def _by_type(inventory: Inventory, name: str, statistic: str, suffix: str = "") -> list[Metric]:
    functions = {handler.family: handler.function for handler in inventory.handlers}
    return [
        functions[route.handler].metric_published(name, statistic, event_type).over(label=event_type + suffix)
        for event_type, route in routing_table.ROUTES.items()
    ]


def _graph(title: str, unit: str, metrics: Iterable[Metric], region: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": region,
            "view": "timeSeries",
            "stacked": False,
            "metrics": [metric.widget_row() for metric in metrics],
            "yAxis": {"left": {"label": unit, "min": 0, "showUnits": False}},
        },
    }


def _alarm_states(arns: Sequence[str]) -> dict[str, Any]:
    place = {"x": 0, "y": 0, "width": _COLUMNS, "height": _ALARMS_HEIGHT}
    return {"type": "alarm", **place, "properties": {"title": "Alarms", "alarms": list(arns)}}


def _placed(graphs: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    per_row = _COLUMNS // _WIDTH
    for index, graph in enumerate(graphs):
        row, column = divmod(index, per_row)
        place = {
            "x": column * _WIDTH,
            "y": _ALARMS_HEIGHT + row * _HEIGHT,
            "width": _WIDTH,
            "height": _HEIGHT,
        }
        yield {**graph, **place}
