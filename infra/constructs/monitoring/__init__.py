"""What shows people the state of the pipeline: topic, alarms, dashboard and saved queries."""

from infra.constructs.monitoring.alarms import Thresholds
from infra.constructs.monitoring.monitoring import Monitoring

__all__ = ["Monitoring", "Thresholds"]
