"""The dashboard: what comes in, what becomes of it, and how long it takes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from functions.pipeline import routing_table
from functions.shared import names
from infra.inventory import Pipeline
from infra.resources.base import Capability
from infra.resources.metrics import Metric
from infra.resources.policy import compact

# A dashboard is a grid of 24 columns.
_COLUMNS: Final = 24
_WIDTH: Final = 8
_HEIGHT: Final = 6
_ALARMS_HEIGHT: Final = 4


class Dashboard(Capability):
    """HuntazeStripeEventBridge-{env}."""

    def __init__(self, scope: Construct, id_: str, *, pipeline: Pipeline, alarm_arns: Sequence[str]) -> None:
        super().__init__(scope, id_)
        account = pipeline.account
        self.name = f"HuntazeStripeEventBridge-{account.environment}"
        self.url = (
            f"https://{account.region}.console.aws.amazon.com/cloudwatch/home"
            f"?region={account.region}#dashboards/dashboard/{self.name}"
        )
        graphs = [
            _graph(title, unit, metrics, account.region)
            for title, unit, metrics in (*_deliveries(pipeline), *_queues(pipeline), *_latency(pipeline))
        ]
        self.add(
            CloudwatchDashboard,
            "",
            dashboard_name=self.name,
            dashboard_body=compact({"widgets": [_alarm_states(alarm_arns), *_placed(graphs)]}),
        )


Graph = tuple[str, str, list[Metric]]


def _deliveries(pipeline: Pipeline) -> list[Graph]:
    rules = pipeline.rules.items()
    functions = pipeline.functions
    return [
        ("Events from Stripe", "events", [pipeline.bus.metric_events().over(label="from Stripe")]),
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
                metric.over(label=f"{short} {told}")
                for short, rule in rules
                for told, metric in (
                    ("failed", rule.metric_failed()),
                    ("parked", rule.metric_sent_to_dead_letter()),
                    ("lost", rule.metric_lost()),
                    ("throttled", rule.metric_throttled()),
                )
            ],
        ),
        ("Throughput: events applied, by type", "events", _by_type(pipeline, names.EVENTS_APPLIED, "Sum")),
        (
            "Recorded and skipped, by type",
            "events",
            [
                *_by_type(pipeline, names.EVENTS_RECORDED, "Sum", told=" recorded"),
                *_by_type(pipeline, names.DUPLICATES_SKIPPED, "Sum", told=" duplicate"),
                *_by_type(pipeline, names.STALE_SKIPPED, "Sum", told=" stale"),
            ],
        ),
        (
            "Failed invocations and parked events, by type",
            "events",
            [
                *_by_type(pipeline, names.EVENTS_FAILED, "Sum", told=" failed"),
                *_by_type(pipeline, names.EVENTS_PARKED, "Sum", told=" parked"),
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
                metric.over(label=f"{function.family} {told}")
                for function in functions
                for told, metric in (
                    ("errors", function.metric_errors()),
                    ("throttles", function.metric_throttles()),
                    ("events dropped", function.metric_events_dropped()),
                    ("not parked", function.metric_destination_failures()),
                )
            ],
        ),
    ]


def _queues(pipeline: Pipeline) -> list[Graph]:
    queue = pipeline.audit.queue
    return [
        (
            "Dead-letter queues: messages",
            "messages",
            [
                metric.over(label=f"{dead.short_name} {told}")
                for dead in pipeline.dead_letters
                for told, metric in (("waiting", dead.metric_visible()), ("in hand", dead.metric_in_flight()))
            ],
        ),
        (
            "Audit queue: messages",
            "messages",
            [queue.metric_visible().over(label="waiting"), queue.metric_in_flight().over(label="in flight")],
        ),
        ("Audit queue: oldest message", "seconds", [queue.metric_oldest_age().over(label="age")]),
    ]


def _latency(pipeline: Pipeline) -> list[Graph]:
    return [
        (
            "Ingestion to invocation, p99",
            "ms",
            [
                metric.over(label=f"{short} {told}")
                for short, rule in pipeline.rules.items()
                for told, metric in (
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
                for function in pipeline.functions
                for statistic in ("p50", "p99")
            ],
        ),
        ("Event age when applied, p99, by type", "ms", _by_type(pipeline, names.EVENT_AGE, "p99")),
        ("Huntaze API latency, p99, by type", "ms", _by_type(pipeline, names.API_LATENCY, "p99")),
    ]


def _by_type(pipeline: Pipeline, name: str, statistic: str, told: str = "") -> list[Metric]:
    return [
        pipeline.custom(route.handler, name, statistic, event_type).over(label=f"{event_type}{told}")
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
