"""Why EventBridge can't deliver an event."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DeliveryFailure:
    """Why a target refuses an event; the code is one of those that EventBridge documents."""

    code: str
    message: str
