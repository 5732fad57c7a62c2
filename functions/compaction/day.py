"""The compaction of one day: write a sorted object, read it back, then remove what it holds.

At every moment each line is in an object that readers see: a small object is removed only after each of its
lines was read back from a compacted one. A run that ends anywhere leaves lines in both, which readers take
for the one delivery that they are, and the next run removes what is held already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from functions.compaction.bucket import Content, LedgerBucket
from functions.compaction.merge import Small, digests, groups, merged, small
from functions.ledger import keys as ledger_keys
from functions.ledger.reader import READERS
from functions.ledger.rewrite import RewriteLease
from functions.shared.errors import TransientError
from functions.shared.parallel import in_order
from functions.shared.telemetry import logger

# What a run counts.
TAKEN: Final = "objects_taken"
WRITTEN: Final = "objects_written"
REMOVED: Final = "objects_removed"
DAMAGED: Final = "objects_damaged"


@dataclass
class DayCompaction:
    """Compacts days of a bucket, and counts.

    Parameters
    ----------
    is_short
        Whether too little time is left to begin another object.
    """

    bucket: LedgerBucket
    lease: RewriteLease
    is_short: Callable[[], bool]
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, day: date) -> bool:
        """Compact a day; return False if the time was not enough: the next run continues.

        Raises
        ------
        TransientError, ConfigurationError
            S3 or the table did not answer, or refused. What was written stays, and nothing is lost.
        """
        compacted: list[str] = []
        found = 0
        for key in self.bucket.keys(day):
            if ledger_keys.is_compacted(key):
                compacted.append(key)
            else:
                found += 1
        # One object alone is as small as it gets.
        if found + bool(compacted) <= 1:
            return True
        for group in groups(self._small(day)):
            self._compact(group, compacted)
            if self.is_short():
                return False
        return True

    def _small(self, day: date) -> Iterator[Small]:
        keys = (key for key in self.bucket.keys(day) if not ledger_keys.is_compacted(key))
        for content in in_order(self.bucket.read, keys, READERS):
            if content is None:
                continue
            found = small(content)
            if found is None:
                self.counts[DAMAGED] += 1
                logger.warning("ledger object not compacted", extra={"key": content.key})
            else:
                yield found

    def _compact(self, group: Sequence[Small], compacted: list[str]) -> None:
        """Bring a group's lines into compacted objects, and remove those that are all in them."""
        held = self._held(group, compacted)
        rest = [each for each in group if not digests(each.content.lines) <= held]
        # A line beside a compacted object of its day is compacted too, or each run would read it again.
        if len(rest) > 1 or (rest and compacted):
            wanted = merged(rest)
            self._renew()
            self.bucket.write(wanted.key, wanted.body)
            written = self._digests(wanted.key)
            lines = digests(line for each in rest for line in each.content.lines)
            if not lines <= written:
                raise TransientError(f"{wanted.key} does not hold what was written")
            held |= lines
            compacted.append(wanted.key)
            self.counts[TAKEN] += len(rest)
            self.counts[WRITTEN] += 1
        done: list[Content] = [each.content for each in group if digests(each.content.lines) <= held]
        if done:
            self._renew()
            self.counts[REMOVED] += self.bucket.remove(done)

    def _held(self, group: Sequence[Small], compacted: Sequence[str]) -> set[bytes]:
        """Return the hashes of those lines of a group that compacted objects hold already."""
        wanted = digests(line for each in group for line in each.content.lines)
        times = ledger_keys.union(each.span for each in group)
        held: set[bytes] = set()
        for key in compacted:
            span = ledger_keys.span(key)
            if span is not None and span.overlaps(times):
                held |= wanted & self._digests(key)
        return held

    def _digests(self, key: str) -> set[bytes]:
        content = self.bucket.read(key)
        return set() if content is None else digests(content.lines)

    def _renew(self) -> None:
        if not self.lease.renew():
            raise TransientError("the lease to rewrite the ledger was lost")
