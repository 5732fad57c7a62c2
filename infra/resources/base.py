"""The base of every construct: readable Terraform addresses."""

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from cdktf import App, TerraformElement
from constructs import Construct

P = ParamSpec("P")
E = TypeVar("E", bound=TerraformElement)

# Logical ids without the stack's name, also for elements that CDKTF names.
_CONTEXT: Final = {"excludeStackIdFromLogicalIds": "true", "allowSepCharsInLogicalIds": "true"}


class Capability(Construct):
    """A construct whose resources are addressed `<construct>_<part>` in Terraform.

    CDKTF would add a hash to each address. It does not help a reader of a plan, and it would change when a
    construct moves in the tree.
    """

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self._address = id_.replace("-", "_")

    def add(
        self, kind: Callable[Concatenate[Construct, str, P], E], part: str, *args: P.args, **props: P.kwargs
    ) -> E:
        """Create a resource of this construct; with an empty part it has the construct's own address."""
        element = kind(self, part or "this", *args, **props)
        element.override_logical_id(f"{self._address}_{part}" if part else self._address)
        return element


def new_app(outdir: Path) -> App:
    """An app that writes to `outdir`, the same in each run."""
    return App(outdir=str(outdir.resolve()), context=_CONTEXT)
