"""The names by which stacks are asked for; free of the CDKTF bindings, so that tools can read them."""

import hashlib
from typing import Final

PROJECT: Final = "huntaze-stripe"
BOOTSTRAP: Final = f"{PROJECT}-bootstrap"
ENVIRONMENTS: Final = ("dev", "staging", "prod")


def stack_name(environment: str) -> str:
    """The name of an environment's stack, as `cdktf deploy` takes it."""
    return f"{PROJECT}-{environment}"


def archive_prefix(environment: str) -> str:
    """What the names of all archives begin with that an environment has, or had."""
    return f"{PROJECT}-archive-{environment}"


def archive_name(environment: str, event_source_name: str) -> str:
    """The name of the archive of an event source: another source has another, so that both can be there."""
    return f"{archive_prefix(environment)}-{hashlib.sha256(event_source_name.encode()).hexdigest()[:8]}"
