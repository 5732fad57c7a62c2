"""Lambda function of the scheduled reconciliation; its handler is functions.reconcile.handler."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.reconciliation.run import reconcile
from functions.shared.telemetry import logger


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare Stripe's list with the ledger, as described in `functions.reconciliation.run.reconcile`."""
    return reconcile(context)
