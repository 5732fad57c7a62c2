"""Dialects of idempotency: how an API responds to a repeated, a reused or a busy key.

`contract` is the dialect of `docs/huntaze-api.md`. In each of the others some status has two meanings, and no
code distinguishes them; still none of them applies a key twice. They show that the pipeline is safe with such
APIs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ops.reference.huntaze.contract import ALREADY_APPLIED, IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS
from ops.reference.server.messages import Refusal, Reply, json_reply

PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True)
class Dialect:
    """One way to respond.

    Parameters
    ----------
    name
        One word, for options and control requests.
    codes
        Whether the body of an error has its code.
    key_first
        Whether the key is checked before the body.
    replays
        Whether a repeated call gets its first response again, instead of 409.
    in_progress
        Status for a key whose first call is in progress.
    reused
        Status for a key that was used with another body.
    """

    name: str
    codes: bool = False
    key_first: bool = True
    replays: bool = False
    in_progress: int = 409
    reused: int = 422

    def refused(self, refusal: Refusal, idempotency_key: str | None = None) -> Reply:
        """Return the reply to a request that is not applied."""
        if refusal.code == ALREADY_APPLIED and self.replays:
            return applied(idempotency_key)
        own = {REQUEST_IN_PROGRESS: self.in_progress, IDEMPOTENCY_KEY_REUSED: self.reused}
        status = own.get(refusal.code, refusal.status)
        if not self.codes:
            return json_reply(status, {"error": str(refusal)})
        problem = {"title": "Not applied", "status": status, "code": refusal.code, "detail": str(refusal)}
        return json_reply(status, problem, {"Content-Type": PROBLEM})


def applied(idempotency_key: str | None) -> Reply:
    """Return the reply to a call that was applied, the same in every dialect."""
    return json_reply(200, {"applied": True, "idempotencyKey": idempotency_key})


CODED: Final = Dialect("contract", codes=True)
DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        CODED,
        # 409 for an applied key and for one in progress, 422 for a refused event and for a reused key.
        Dialect("no-codes"),
        # IETF draft "The Idempotency-Key HTTP Header Field": a repeat gets the first response again.
        Dialect("in-progress-409", replays=True),
        # Checks the body before the key, and responds to a busy key as to an invalid event.
        Dialect("422-for-everything", key_first=False, replays=True, in_progress=422),
        Dialect("409-for-everything", reused=409),
    )
}


def dialect_from(name: object) -> Dialect:
    """Return the dialect of a name.

    Raises
    ------
    ValueError
        The name is unknown; the message lists the known names.
    """
    if not isinstance(name, str) or name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}: expected {', '.join(DIALECTS)}")
    return DIALECTS[name]
