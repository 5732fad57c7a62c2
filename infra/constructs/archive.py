"""The archive of everything on the bus, from which events are replayed."""

from typing import Any

from cdktf_cdktf_provider_aws.cloudcontrolapi_resource import CloudcontrolapiResource
from cdktf_cdktf_provider_aws.cloudwatch_event_archive import CloudwatchEventArchive
from constructs import Construct

from infra.constructs import cloud_control
from infra.constructs.account import Account
from infra.constructs.base import Capability
from infra.constructs.encryption import Key
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.policy import compact


class Archive(Capability):
    """All events of a bus for `retention_days` days.

    Provider 5.100's own archive resource takes no key, so with one the archive is made through
    the Cloud Control API.
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
        self.name = name = account.name("archive")
        self.arn = account.arn("events", f"archive/{name}")
        if key is None:
            archive = self.add(
                CloudwatchEventArchive,
                "",
                name=name,
                description=f"Every Stripe event of {account.environment}",
                event_source_arn=bus.arn,
                retention_days=retention_days,
            )
            self.arn = archive.arn
            return
        state: dict[str, Any] = {
            "ArchiveName": name,
            "Description": f"Every Stripe event of {account.environment}",
            "KmsKeyIdentifier": key.arn,
            "RetentionDays": retention_days,
            "SourceArn": bus.arn,
        }
        self.add(
            CloudcontrolapiResource,
            "",
            type_name=cloud_control.ARCHIVE["typeName"],
            schema=compact(cloud_control.ARCHIVE),
            desired_state=compact(state),
        )
