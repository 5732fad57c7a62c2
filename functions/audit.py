"""Lambda function of the audit queue; its handler is functions.audit.handler."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.ledger.batch import store
from functions.shared.telemetry import logger


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(batch: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Store a batch of the queue in the ledger, as described in `functions.ledger.batch.store`."""
    return store(batch)
