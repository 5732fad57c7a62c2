"""The Terraform outputs of an environment, as the local run uses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.shared import names


@dataclass(frozen=True)
class Outputs:
    """The outputs. `queues` maps a queue's name to its URL, `functions` a function's family to its ARN."""

    environment: str
    region: str
    bus: str
    archive_arn: str
    queues: Mapping[str, str]
    functions: Mapping[str, str]
    idempotency_table: str
    ledger_bucket: str

    @classmethod
    def read(cls, environment: str, region: str, outputs: Mapping[str, Any]) -> Outputs:
        """Read them from `terraform output`."""
        return cls(
            environment=environment,
            region=region,
            bus=outputs["bus_name"],
            archive_arn=outputs["archive_arn"],
            queues=outputs["queue_urls"],
            functions=outputs["function_arns"],
            idempotency_table=outputs["idempotency_table"],
            ledger_bucket=outputs["ledger_bucket"],
        )

    @property
    def log_groups(self) -> tuple[str, ...]:
        """The log groups of the handlers."""
        return tuple(
            f"/aws/lambda/{self.functions[handler].rpartition(':')[2]}" for handler in names.HANDLERS
        )
