"""The names by which stacks are asked for; free of the CDKTF bindings, so that tools can read them."""

from typing import Final

PROJECT: Final = "huntaze-stripe"
BOOTSTRAP: Final = f"{PROJECT}-bootstrap"
ENVIRONMENTS: Final = ("dev", "staging", "prod")


def stack_name(environment: str) -> str:
    """The name of an environment's stack, as `cdktf deploy` takes it."""
    return f"{PROJECT}-{environment}"
