"""The certificate authorities that a bundle trusts, as a folder in which OpenSSL looks one up by its name.

A process that reads all of certifi's file before its first connection spends a fifth of a cold start on it.
From a folder, OpenSSL reads the one or two certificates that a connection needs. A file is named by the hash
of the certificate's subject, as `openssl rehash` names it (OpenSSL, X509_NAME_hash and
X509_LOOKUP_hash_dir).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
_SEQUENCE, _SET, _UTF8, _EXPLICIT_VERSION = 0x30, 0x31, 0x0C, 0xA0
# String types that OpenSSL compares as text, with their encodings. A T61String counts as Latin-1.
_TEXTS: Final = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_SPACES: Final = re.compile("[ \t\n\r\v\f]+")
_UPPER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def write_folder(bundle: Path, folder: Path) -> None:
    """Write the certificates of a PEM file into a folder, each under the hash of its subject."""
    folder.mkdir()
    seen: Counter[str] = Counter()
    for pem in _CERTIFICATE.findall(bundle.read_text(encoding="utf-8")):
        name = subject_hash(ssl.PEM_cert_to_DER_cert(pem))
        (folder / f"{name}.{seen[name]}").write_text(pem, encoding="ascii")
        seen[name] += 1


def subject_hash(certificate: bytes) -> str:
    """Return OpenSSL's hash of the subject of a certificate in DER."""
    ((_, whole),) = _elements(certificate)
    fields = [each for each in _elements(next(_elements(whole))[1]) if each[0] != _EXPLICIT_VERSION]
    # Serial number, signature algorithm, issuer, validity, subject (RFC 5280, section 4.1).
    subject = fields[4][1]
    canonical = b"".join(
        _element(_SET, b"".join(sorted(_canonical(attribute) for _, attribute in _elements(values))))
        for _, values in _elements(subject)
    )
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _canonical(attribute: bytes) -> bytes:
    """Write a name's attribute as OpenSSL compares it: texts in UTF-8, without case and doubled spaces."""
    (_, kind), (tag, value) = _elements(attribute)
    if tag in _TEXTS:
        text = _SPACES.sub(" ", value.decode(_TEXTS[tag])).strip(" ").translate(_UPPER)
        tag, value = _UTF8, text.encode()
    return _element(_SEQUENCE, _element(0x06, kind) + _element(tag, value))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of a DER sequence."""
    place = 0
    while place < len(data):
        tag, length, place = data[place], data[place + 1], place + 2
        if length & 0x80:
            size = length & 0x7F
            length, place = int.from_bytes(data[place : place + size], "big"), place + size
        yield tag, data[place : place + length]
        place += length


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
