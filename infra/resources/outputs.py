"""The outputs of a stack, for operators."""

from collections.abc import Mapping
from typing import Any

from cdktf import TerraformOutput
from constructs import Construct

from infra.resources.base import Capability


class Outputs(Capability):
    """Terraform outputs, each under its plain name.

    Parameters
    ----------
    values
        Value and description by the name of the output.
    """

    def __init__(self, scope: Construct, id_: str, *, values: Mapping[str, tuple[Any, str]]) -> None:
        super().__init__(scope, id_)
        for name, (value, description) in values.items():
            output = TerraformOutput(self, name, value=value, description=description)
            output.override_logical_id(name)
