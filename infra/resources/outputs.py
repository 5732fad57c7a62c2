"""The outputs of a stack, for operators."""

from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import TerraformOutput, TerraformResource
from constructs import Construct

from infra.resources.base import Capability


class Outputs(Capability):
    """Terraform outputs, each under its plain name.

    Parameters
    ----------
    values
        Value and description by the name of the output.
    after
        Resources without which an output keeps its former value: it says what they were made with.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        values: Mapping[str, tuple[Any, str]],
        after: Sequence[TerraformResource] = (),
    ) -> None:
        super().__init__(scope, id_)
        for name, (value, description) in values.items():
            output = TerraformOutput(self, name, value=value, description=description)
            output.override_logical_id(name)
            if after:
                # CDKTF would write them as expressions, which Terraform refuses in an output.
                addresses = [f"{part.terraform_resource_type}.{part.friendly_unique_id}" for part in after]
                output.add_override("depends_on", addresses)
