"""Send single events to an embedded AWS that is reached through exported variables, as Stripe does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from functions.pipeline.envelope import identity
from functions.shared import names
from functions.stripe_api.client import STRIPE_API_URL
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError
from ops.local import drive
from ops.local.clients import Control
from ops.terraform.endpoint import is_embedded


def require_embedded(environment: Environment) -> None:
    """Refuse to send to AWS itself.

    Raises
    ------
    OperatorError
        The exported address of AWS is not on this machine.
    """
    if not is_embedded(os.environ):
        raise OperatorError(
            f"{environment.name} is on AWS, where only Stripe can publish to a partner event bus: use "
            f"`huntaze-stripe verify --env {environment.name}` in test mode or `stripe trigger TYPE`; for a "
            "local run, run `make local DETACH=1` and `source build/local/env.sh` first",
            usage=True,
        )


def send(environment: Environment, envelopes: Sequence[dict[str, Any]]) -> list[str]:
    """Put the events on the bus, let the reference Stripe API list them, and return their ids.

    Raises
    ------
    OperatorError
        The exported address of AWS is not on this machine, the bus refuses an event, or nothing can follow a
        sent event, because its id is not one of Stripe's.
    """
    require_embedded(environment)
    _list(environment, [each["detail"] for each in envelopes])
    with aws_errors(f"the bus {environment.bus}"):
        drive.send(environment, environment.bus, envelopes)
    event_ids = list(dict.fromkeys(str(identity(each["detail"])[0]) for each in envelopes))
    for event_id in event_ids:
        if not names.STRIPE_ID.fullmatch(event_id):
            raise OperatorError(
                f"sent, but {event_id!r} is not an event id, so nothing can follow it: "
                f"`huntaze-stripe dlq list --env {environment.name}` shows where it waits"
            )
    return event_ids


def _list(environment: Environment, events: Sequence[dict[str, Any]]) -> None:
    """Add events to the list of the run's Stripe, if there is one: reconcile finds them there."""
    url = os.environ.get(STRIPE_API_URL, "").strip()
    if urlsplit(url).hostname not in names.LOOPBACK_HOSTS:
        return
    key = os.environ.get(names.STRIPE_SECRET_KEY, "").strip() or environment.secret(names.STRIPE_SECRET_KEY)
    try:
        drive.add_to_list(Control(url, key), events)
    except httpx.HTTPError as error:
        raise OperatorError(
            f"{STRIPE_API_URL}={url} does not list the event ({type(error).__name__}): source "
            "build/local/env.sh again"
        ) from error
