"""The ledger, the idempotency table and the Huntaze API."""

from __future__ import annotations

from functions.shared import names
from ops.doctor.check import Finding, Status, failed, passed
from ops.doctor.context import Context
from ops.doctor.stripe import of_key
from ops.environment import if_exists


def bucket(context: Context) -> Finding:
    """Check whether the ledger's bucket exists and keeps versions."""
    name = context.environment.ledger_bucket
    answer = if_exists(context.client("s3").get_bucket_versioning, Bucket=name)
    if answer is None:
        return failed(f"{name} does not exist", context.deploy)
    status = answer.get("Status", "Disabled")
    if status != "Enabled":
        return failed(f"versioning is {status.lower()}: what is overwritten is lost", context.deploy)
    return passed(f"{name}, versioned")


def database(context: Context) -> Finding:
    """Check whether PostgreSQL answers with the deployed DATABASE_URL, where there is one."""
    value = context.secret(names.DATABASE_URL)
    if not value:
        return passed("none: the ledger is in S3 alone")
    found = of_key(context, names.DATABASE_URL, value)
    if found.status is Status.WARN:
        return Finding(found.status, f"not reachable from here: {found.text}", found.next)
    return found


def table(context: Context) -> Finding:
    """Check whether the idempotency table exists and forgets what is too old."""
    name, client = context.environment.resource("idempotency"), context.client("dynamodb")
    deploy = context.deploy
    answer = if_exists(client.describe_table, TableName=name)
    if answer is None:
        return failed(f"{name} does not exist: no handler can work", deploy)
    status = answer["Table"]["TableStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        return failed(f"{name} is {status}", deploy)
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
    if expiry not in ("ENABLED", "ENABLING"):
        return failed(f"items never expire: time to live is {expiry.lower()}", deploy)
    return passed(f"{name}, active")


def api(context: Context) -> Finding:
    """Check whether the Huntaze API answers and accepts the deployed key."""
    return of_key(context, names.HUNTAZE_API_KEY, context.secret(names.HUNTAZE_API_KEY))
