"""What the functions run, as outputs of the stack, so that a plan can name what it changes.

Of a change of code a plan itself shows two digests of a zip, and of the routing table what is in the event
patterns alone. Loads without the CDKTF bindings.
"""

from collections.abc import Mapping
from typing import Final

from functions.pipeline.routing_table import ROUTES
from infra.bundle import Bundles

# The path of a type that is recorded without a call.
NO_CALL: Final = "recorded"
# The names of the outputs.
CODE: Final = "code"
ROUTING: Final = "routing"


def code(bundles: Bundles) -> dict[str, str]:
    """The version of each package in the bundles, and the digest of each of our modules."""
    parts = {part: version for bundle in bundles.values() for part, version in bundle.contents.items()}
    return dict(sorted(parts.items()))


def routing() -> dict[str, Mapping[str, str]]:
    """Handler, repeat and API path of each event type; the paths of a row with modes by mode."""
    return {
        route.event_type: {
            "handler": route.handler,
            "repeat": route.repeat,
            "path": ", ".join(
                f"{mode + ': ' if mode else ''}{call.path if call else NO_CALL}"
                for mode, call in route.variants.items()
            ),
        }
        for route in ROUTES.values()
    }
