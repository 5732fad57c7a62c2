"""Find the event destination that belongs to an environment."""

from __future__ import annotations

from collections.abc import Sequence

from ops.destination.api import Destination
from ops.destination.wanted import ENVIRONMENT_KEY, Wanted
from ops.errors import OperatorError


def find(destinations: Sequence[Destination], wanted: Wanted, source_name: str) -> Destination | None:
    """Return the destination of an environment: by its event source, its metadata or its name, in this order.

    Parameters
    ----------
    source_name
        `stripe_event_source_name`; empty if it is not set.

    Raises
    ------
    OperatorError
        Several could be meant, or the one belongs to another environment, account, region or mode.
    """
    found = (
        [each for each in destinations if source_name and each.source_name == source_name]
        or [each for each in destinations if each.metadata.get(ENVIRONMENT_KEY) == wanted.environment]
        or [each for each in destinations if each.name == wanted.name]
    )
    if len(found) > 1:
        raise OperatorError(
            f"{' and '.join(each.id for each in found)} both belong to {wanted.environment} by name or "
            "metadata: set stripe_event_source_name to the right one's, or delete the other in Stripe's "
            "Dashboard"
        )
    if not found:
        return None
    _check(found[0], wanted)
    return found[0]


def _check(found: Destination, wanted: Wanted) -> None:
    owner = found.metadata.get(ENVIRONMENT_KEY, wanted.environment)
    if owner != wanted.environment:
        raise OperatorError(
            f"{found.id} belongs to {owner}, as its metadata {ENVIRONMENT_KEY} says, not to "
            f"{wanted.environment}: correct stripe_event_source_name of {wanted.environment}, or use "
            f"--env {owner}"
        )
    place = f"account {found.account_id} and region {found.region}"
    if found.account_id != wanted.account_id or (found.region and found.region != wanted.region):
        raise OperatorError(
            f"{found.id} of {wanted.environment} sends to {place}, but the environment is in account "
            f"{wanted.account_id} and region {wanted.region}: correct the credentials or aws_region, or "
            "delete the destination in Stripe's Dashboard"
        )
    if found.livemode is not wanted.livemode:
        raise OperatorError(
            f"{found.id} has livemode {str(found.livemode).lower()}, but {wanted.environment} has "
            f"livemode = {str(wanted.livemode).lower()}: export the other "
            f"{'live' if wanted.livemode else 'test'} key"
        )
