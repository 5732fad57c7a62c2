"""What tells people how the pipeline is: topic, alarms, dashboard and saved queries."""

from infra.constructs.monitoring.monitoring import Monitoring
from infra.constructs.monitoring.watched import Thresholds

__all__ = ["Monitoring", "Thresholds"]
