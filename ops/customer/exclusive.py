"""An erasure and the compaction of the ledger exclude each other: `functions.ledger.rewrite` says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from functions.ledger.rewrite import ERASURE, RewriteLease
from functions.shared.errors import EventError
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError

# Longer than an erasure takes, which is how long a killed one keeps the compaction waiting. The compaction
# has two weeks for a day.
SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Exclusive:
    """The right of an erasure to rewrite the ledger."""

    environment: Environment
    lease: RewriteLease

    def check(self) -> None:
        """Keep the right for the changes that follow.

        Raises
        ------
        OperatorError
            It has ended, so that objects may have been compacted since they were read; or AWS failed.
        """
        with _table(self.environment):
            if not self.lease.renew():
                raise OperatorError(
                    "nothing was changed: others have rewritten the ledger since it was read; "
                    "repeat the command"
                )


@contextmanager
def exclusive(environment: Environment) -> Iterator[Exclusive]:
    """Keep the compaction away from the ledger.

    Raises
    ------
    OperatorError
        A compaction is at work, or AWS failed.
    """
    table = environment.resource("idempotency")
    lease = RewriteLease(environment.client("dynamodb"), table, ERASURE, SECONDS)
    with _table(environment):
        acquired = lease.acquire()
    if not acquired:
        raise OperatorError(
            "nothing was changed: the ledger is being compacted, for 20 minutes at most; "
            "repeat the command then"
        )
    try:
        yield Exclusive(environment, lease)
    finally:
        lease.release()


@contextmanager
def _table(environment: Environment) -> Iterator[None]:
    try:
        yield
    except EventError as error:
        with aws_errors(f"to change the table {environment.resource('idempotency')}"):
            raise error.__cause__ or error from error
