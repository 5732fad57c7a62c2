"""Lambda function for payments and checkout sessions; its handler is functions.payments.handler."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.pipeline.process import process, warm_up
from functions.shared import names
from functions.shared.telemetry import logger, metrics

warm_up()


@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics
def handler(envelope: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Apply one event to the Huntaze API; see `functions.pipeline.process.process`."""
    return process(names.PAYMENTS, envelope, context)
