"""Topic, alarms, dashboard and queries of one environment."""

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.inventory import Inventory
from infra.constructs.monitoring.alarm import Alarms
from infra.constructs.monitoring.alarms import Thresholds, alarms, silences
from infra.constructs.monitoring.dashboard import Dashboard
from infra.constructs.monitoring.queries import SavedQueries
from infra.constructs.monitoring.topic import AlertTopic
from infra.resources.base import Capability


class Monitoring(Capability):
    """Alarms on everything that can fail, with the dashboard and the saved queries."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        inventory: Inventory,
        thresholds: Thresholds,
        emails: Sequence[str],
        repository_url: str,
    ) -> None:
        super().__init__(scope, id_)
        account = inventory.account
        topic = AlertTopic(self, "alerts", account=account, emails=emails)
        alarm = Alarms(
            self,
            "alarm",
            account=account,
            topic_arn=topic.arn,
            repository_url=repository_url,
            alarms=alarms(inventory, thresholds),
            silences=silences(inventory, thresholds),
        )
        dashboard = Dashboard(self, "dashboard", inventory=inventory, alarm_arns=alarm.arns)
        SavedQueries(
            self,
            "query",
            account=account,
            log_groups=[function.log_group for function in inventory.functions],
        )
        self.topic_arn = topic.arn
        self.dashboard_url = dashboard.url
