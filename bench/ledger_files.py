"""Ledger objects of an embedded AWS, written as the files that it keeps of them.

A PUT of each through the server would take minutes. The first object is put that way, so that a second file
beside it shows what the server writes about an object; the others are written like it, while no server runs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from functions.compaction.bucket import Content
from functions.compaction.merge import groups, merged, small
from functions.ledger.keys import object_key
from functions.ledger.records import LedgerRecord, parse

META: Final = ".meta.json"
# An embedded AWS's folder of objects.
OBJECTS: Final = "s3"


@dataclass(frozen=True)
class LedgerObject:
    """One object: a batch of one delivery."""

    key: str
    body: bytes


def ledger_object(envelope: Mapping[str, Any], sent: int) -> LedgerObject:
    """Return the object that the audit function writes for one event.

    Parameters
    ----------
    sent
        When the queue received it, in milliseconds since 1970.
    """
    message = {"messageId": f"message-{envelope['id']}", "body": json.dumps(envelope)}
    record: LedgerRecord = parse(message | {"attributes": {"SentTimestamp": str(sent)}})
    return LedgerObject(object_key([record]), gzip.compress(f"{record.line}\n".encode(), mtime=0))


def compacted(objects: Iterable[LedgerObject]) -> Iterator[LedgerObject]:
    """Yield the objects that the compaction would write for these."""
    contents = (Content(each.key, "", gzip.decompress(each.body).splitlines()) for each in objects)
    for group in groups(each for each in map(small, contents) if each is not None):
        written = merged(group)
        yield LedgerObject(written.key, written.body)


def write(aws: Path, bucket: str, first: LedgerObject, others: Iterable[LedgerObject]) -> None:
    """Write objects beside the first one, which a PUT has written.

    Parameters
    ----------
    aws
        The state of the embedded AWS, which does not run.
    """
    (written,) = (aws / OBJECTS).rglob(f"{bucket}/{first.key}{META}")
    like = json.loads(written.read_text(encoding="utf-8"))
    folder = Path(str(written).removesuffix(f"{first.key}{META}"))
    for each in others:
        file = folder / each.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each.body)
        own = {
            "etag": f'"{hashlib.md5(each.body, usedforsecurity=False).hexdigest()}"',
            "size": len(each.body),
            "checksums": {"CRC32": base64.b64encode(zlib.crc32(each.body).to_bytes(4)).decode()},
            "version_id": str(uuid5(NAMESPACE_URL, each.key)),
        }
        (version,) = like["versions"]
        meta = {**like, **own, "versions": [{**version, **own}], "key": each.key}
        Path(f"{file}{META}").write_text(json.dumps(meta), encoding="utf-8")
