"""Lambda function of the ledger's compaction; its handler is functions.compact.handler."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.compaction.run import compact
from functions.shared.telemetry import logger


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Turn a day's many small ledger objects into few, as described in `functions.compaction.run.compact`."""
    return compact(context)
