"""The scheduled redrive of transient failures."""

from functions.shared import names
from infra.constructs.schedule import ScheduledFunction
from infra.resources.metrics import Metric


class Redrive(ScheduledFunction):
    """The function redrive: it sends events of the dead-letter queues again once the API answers."""

    def metric_oldest_age(self) -> Metric:
        """Age in seconds of the oldest event that a run read."""
        return self.function.metric_published(names.OLDEST_MESSAGE_AGE, "Maximum")

    def metric_given_up(self) -> Metric:
        """Events that failed too often while others of their type were applied."""
        return self.function.metric_published(names.EVENTS_GIVEN_UP)

    def metric_left(self) -> Metric:
        """Transient failures that a run left in the queues, in the best run of the period."""
        return self.function.metric_published(names.EVENTS_LEFT, "Minimum")
