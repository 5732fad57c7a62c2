"""The archive of the bus, from which events are replayed."""

from typing import Any

from cdktf_cdktf_provider_aws.cloudcontrolapi_resource import CloudcontrolapiResource
from constructs import Construct

from infra.constructs.event_bus import PartnerEventBus
from infra.names import archive_name
from infra.policy import compact
from infra.resources import cloud_control
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key


class Archive(Capability):
    """All events of a bus for `retention_days` days.

    The archive resource of provider 5.100 has no key, so the archive is created through the Cloud Control
    API. There a key is added and removed in place, and the archive keeps its events.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        bus: PartnerEventBus,
        retention_days: int,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        name = archive_name(account.environment, bus.name)
        state: dict[str, Any] = {
            "ArchiveName": name,
            "Description": f"Every Stripe event of {account.environment}",
            "RetentionDays": retention_days,
            # A literal: with a reference, a plan of a new bus would show a change in place, which fails.
            "SourceArn": account.bus_arn(bus.name),
        }
        archive = self.add(
            CloudcontrolapiResource,
            "",
            type_name=cloud_control.ARCHIVE["typeName"],
            schema=compact(cloud_control.ARCHIVE),
            desired_state=compact(state | ({"KmsKeyIdentifier": key.arn} if key else {})),
            lifecycle=account.kept,
            depends_on=[bus.resource],
        )
        # Cloud Control identifies an archive by its name.
        self.arn = account.arn("events", f"archive/{archive.id}")
