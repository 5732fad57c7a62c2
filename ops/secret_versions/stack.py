"""The versions of secrets in a synthesised stack, and the stack without them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.errors import OperatorError
from ops.secret_changes import NUMBER, OWNER, RESOURCE, VALUES_RESOURCE

FILE: Final = "cdk.tf.json"
# Of these, `secret_string_wo` decides nothing: Terraform can't compare a value that it does not store.
ARGUMENTS: Final = frozenset({OWNER, "secret_string_wo", NUMBER})
# What CDKTF writes for itself.
METADATA: Final = "//"
REFERENCE: Final = re.compile(rf"\$\{{({RESOURCE}\.\w+)\.id\}}")


@dataclass(frozen=True)
class Version:
    """A version of a secret in a synthesised stack.

    Parameters
    ----------
    secret
        The address of its secret.
    number
        The setting `secret_version`; a deploy writes the value where the state has another number.
    """

    address: str
    secret: str
    number: int


@contextmanager
def left_out(folder: Path, state: Mapping[str, Any]) -> Iterator[tuple[Version, ...]]:
    """Let a synthesised stack forget the versions, and yield those that it has.

    Parameters
    ----------
    state
        As Terraform stores it: some of its versions may be in the stack no more. Empty before a first deploy.

    Raises
    ------
    OperatorError
        A version has other arguments than those of which `changes.py` knows what they do.
    """
    file = folder / FILE
    text = file.read_text(encoding="utf-8")
    stack = json.loads(text)
    configured = stack["resource"].pop(VALUES_RESOURCE, {})
    versions = tuple(_version(f"{VALUES_RESOURCE}.{name}", each) for name, each in configured.items())
    stored = (each["name"] for each in state.get("resources", ()) if each["type"] == VALUES_RESOURCE)
    stack["removed"] = [
        {"from": f"{VALUES_RESOURCE}.{name}", "lifecycle": {"destroy": False}}
        for name in sorted({*configured, *stored})
    ]
    file.write_text(json.dumps(stack), encoding="utf-8")
    try:
        yield versions
    finally:
        file.write_text(text, encoding="utf-8")


def _version(address: str, arguments: Mapping[str, Any]) -> Version:
    reference = REFERENCE.fullmatch(str(arguments.get(OWNER)))
    if reference is None or arguments.keys() - {METADATA} != ARGUMENTS:
        raise OperatorError(
            f"invalid {address} in {FILE}: expected {', '.join(sorted(ARGUMENTS))}, and the id of a secret "
            "of the stack; for another form, add to ops/secret_versions/changes.py what a deploy does then"
        )
    return Version(address, reference[1], arguments[NUMBER])
