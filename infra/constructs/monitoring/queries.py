"""Saved CloudWatch Logs Insights queries."""

from collections.abc import Sequence
from typing import Final

from cdktf_cdktf_provider_aws.cloudwatch_query_definition import CloudwatchQueryDefinition
from constructs import Construct

from infra.names import PROJECT
from infra.resources.account import Account
from infra.resources.base import Capability

# A query has no parameters: replace the three dots with the id.
_QUERIES: Final = {
    "event-story": """\
fields @timestamp, service, level, message, attempt, outcome, event_type, error, reason, status, path, age_ms,
    api_call.status, api_call.ms
| filter correlation_id = "evt_..."
| sort @timestamp asc
| limit 1000
""",
    "failures-by-type": """\
filter message in ["event failed", "event parked"]
| stats count(*) as attempts, count_distinct(event_id) as events, max(@timestamp) as latest
    by event_type, service, error, reason, status
| sort attempts desc
""",
}


class SavedQueries(Capability):
    """The log of one event by its id, and failures by type, over the logs of all functions."""

    def __init__(self, scope: Construct, id_: str, *, account: Account, log_groups: Sequence[str]) -> None:
        super().__init__(scope, id_)
        for name, text in _QUERIES.items():
            self.add(
                CloudwatchQueryDefinition,
                name.replace("-", "_"),
                name=f"{PROJECT}/{account.environment}/{name}",
                query_string=text,
                log_group_names=list(log_groups),
            )
