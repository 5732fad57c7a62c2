"""Lambda function of the automatic redrive; its handler is functions.redrive.handler."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.dead_letters.auto_redrive import run
from functions.shared.telemetry import logger, metrics


@logger.inject_lambda_context(log_event=False, clear_state=True)
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Redrive events after an outage, as described in `functions.dead_letters.auto_redrive.run`."""
    return run(context)
