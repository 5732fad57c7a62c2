"""The logger and the metrics of every function.

Log lines and metrics hold ids, types, statuses and our own words, never a value of a Stripe object: no
e-mail, name, card or key.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from functions.shared import names

logger = Logger(utc=True)
metrics = Metrics(namespace=names.METRICS_NAMESPACE)
environment: Final = os.environ.get(names.ENVIRONMENT) or "unknown"
metrics.set_default_dimensions(**{names.DIMENSION_ENVIRONMENT: environment})

# At DEBUG these libraries log what they send and receive, including the secret's value and the API key. A
# function set to DEBUG lowers the level of all loggers through Lambda's own logging configuration.
for _library in ("boto3", "botocore", "httpcore", "httpx", "psycopg", "urllib3"):
    logging.getLogger(_library).setLevel(logging.WARNING)


def count(name: str, value: int = 1, /, **dimensions: str) -> None:
    """Add a number to a metric of the whole function, outside the metrics of the invocation.

    Parameters
    ----------
    value
        0 is published, too.
    dimensions
        Dimensions besides `service` and `environment`.
    """
    with single_metric(
        name,
        MetricUnit.Count,
        value,
        namespace=names.METRICS_NAMESPACE,
        default_dimensions={names.DIMENSION_ENVIRONMENT: environment},
    ) as metric:
        for dimension, text in dimensions.items():
            metric.add_dimension(dimension, text)
