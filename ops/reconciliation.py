"""Reconciliation as operators start it: with Stripe's key, the ledger and the ways back of an environment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from datetime import datetime

from functions import stripe_api
from functions.pipeline import names
from functions.pipeline.errors import ConfigurationError, EventError
from functions.pipeline.routing import HANDLERS
from functions.reconciliation.gap import Gap, compare
from functions.reconciliation.heal import Destination, Healer
from functions.stripe_api import StripeApi
from ops import talk
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.ledgers import Ledger
from ops.steps import Steps


def stripe(environment: Environment) -> StripeApi:
    """Return Stripe's API with the exported STRIPE_SECRET_KEY, or else the one in the environment's secret.

    Raises
    ------
    OperatorError
        There is no key, it can't be used, or it is of the other mode than the environment.
    """
    key = os.environ.get(names.STRIPE_SECRET_KEY, "").strip() or _key_of_secret(environment)
    try:
        return stripe_api.with_key(key, livemode=environment.settings.livemode)
    except ConfigurationError as error:
        raise OperatorError(error.reason, usage=True) from error


def _key_of_secret(environment: Environment) -> str:
    secret = environment.secret_id(names.STRIPE_SECRET_KEY)
    with aws_errors(f"the secret {secret}"):
        answer = environment.client("secretsmanager").get_secret_value(SecretId=secret)
    try:
        key = json.loads(answer["SecretString"]).get(names.STRIPE_SECRET_KEY, "").strip()
    except (AttributeError, KeyError, ValueError):
        key = ""
    if not key:
        raise OperatorError(
            f"the secret {secret} holds no {names.STRIPE_SECRET_KEY}: export it, or write it "
            "there with a deploy"
        )
    return str(key)


def find_gap(
    api: StripeApi,
    ledger: Ledger,
    since: datetime,
    until: datetime,
    types: Collection[str],
    steps: Steps,
    healer: Healer | None,
) -> Gap:
    """Compare the events of a window with the ledger, and hand the missing ones over where there is a healer.

    Parameters
    ----------
    types
        Event types to compare; none is all.

    Raises
    ------
    OperatorError
        Stripe, the ledger or AWS failed. What was handed over before stays handed over.
    """
    gap = Gap()
    first, last = int(since.timestamp()), int(until.timestamp())
    with steps.step("compare with Stripe") as step:
        ledger.progress = lambda done, total: step.advance_to(done, total, "objects of the ledger")
        try:
            for batch in compare(api.events(first, last, types), ledger):
                gap.add(batch)
                for event in batch.missing:
                    if healer is not None and healer.hand_over(event):
                        gap.healed.add(event["id"])
                step.advance_to(
                    batch.last_created - first, last - first, f"{gap.missing_count} missing so far"
                )
        except EventError as error:
            raise OperatorError(
                f"{error.reason}; {_told(gap)}, {len(gap.healed)} handed over: repeat the command"
            ) from error
        step.note = _told(gap)
    return gap


def _told(gap: Gap) -> str:
    return f"{talk.counted(gap.compared.total(), 'event')} compared, {gap.missing_count} missing"


def healer(environment: Environment) -> Healer:
    """Return the way back for missing events.

    Raises
    ------
    OperatorError
        The audit queue or a function is not there.
    """
    queue = f"{environment.resource('events')}.fifo"
    sqs, functions = environment.client("sqs"), environment.client("lambda")
    with aws_errors(f"the queue {queue}"):
        queue_url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    handlers = {handler: environment.resource(handler) for handler in HANDLERS}
    for name in handlers.values():
        with aws_errors(f"the function {name}"):
            functions.get_function_configuration(FunctionName=name)
    destination = Destination(
        event_source=environment.bus,
        partition=environment.caller[1].split(":")[1],
        account_id=environment.account_id,
        region=environment.region,
        functions=handlers,
        queue_url=queue_url,
    )
    return Healer(destination, lambda_client=functions, sqs_client=sqs, sleep=time.sleep)
