"""Topic, alarms, dashboard and queries of one environment."""

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.handler import Handler
from infra.constructs.monitoring.alarm import Alarms
from infra.constructs.monitoring.alarms import Thresholds, alarms, silences
from infra.constructs.monitoring.dashboard import Dashboard
from infra.constructs.monitoring.queries import SavedQueries
from infra.constructs.monitoring.topic import AlertTopic
from infra.constructs.schedule import ScheduledFunction
from infra.inventory import Pipeline
from infra.resources.account import Account
from infra.resources.base import Capability


class Monitoring(Capability):
    """Watches every resource of the pipeline that can fail."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        handlers: Sequence[Handler],
        audit: Audit,
        bus_log: BusLog | None,
        scheduled: Sequence[ScheduledFunction],
        thresholds: Thresholds,
        emails: Sequence[str],
        repository_url: str,
    ) -> None:
        super().__init__(scope, id_)
        pipeline = Pipeline(account, bus, handlers, audit, bus_log, scheduled)
        topic = AlertTopic(self, "alerts", account=account, emails=emails)
        alarm = Alarms(
            self,
            "alarm",
            account=account,
            topic_arn=topic.arn,
            repository_url=repository_url,
            alarms=alarms(pipeline, thresholds),
            silences=silences(pipeline, thresholds),
        )
        dashboard = Dashboard(self, "dashboard", pipeline=pipeline, alarm_arns=alarm.arns)
        SavedQueries(
            self,
            "query",
            account=account,
            log_groups=[function.log_group for function in pipeline.functions],
        )
        self.topic_arn = topic.arn
        self.dashboard_url = dashboard.url
        self.dead_letters = pipeline.dead_letters
        self.functions = pipeline.functions
        self.rules = list(pipeline.rules.values())
