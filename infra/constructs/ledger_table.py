"""The ledger as an external table of the Glue Data Catalog, which Athena queries.

The table is a description: it holds no data, and needs no crawler and no `MSCK REPAIR TABLE`. With partition
projection Athena computes the days from the table's properties, and lists the objects of those that a query
asks for.

Sources: Athena user guide, "Use partition projection with Amazon Athena", "OpenX JSON SerDe" and "Query
restored Amazon S3 Glacier objects".
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from cdktf_cdktf_provider_aws.glue_catalog_database import GlueCatalogDatabase
from cdktf_cdktf_provider_aws.glue_catalog_table import (
    GlueCatalogTable,
    GlueCatalogTablePartitionKeys,
    GlueCatalogTableStorageDescriptor,
    GlueCatalogTableStorageDescriptorColumns,
    GlueCatalogTableStorageDescriptorSerDeInfo,
)
from constructs import Construct

from functions.shared import names
from infra.constructs.ledger import Ledger
from infra.names import LEDGER_TABLE, database_name
from infra.resources.account import Account
from infra.resources.base import Capability

# The members of a line. OpenX's SerDe gives the JSON text of an object to a column that is a string.
COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "received_at": "when the audit queue received the delivery: ISO 8601, UTC",
        "message_id": "id of the SQS message",
        "event_id": "id of the event",
        "event_type": "type of the event",
        "envelope": "the EventBridge envelope, JSON: read it with json_extract_scalar",
    }
)
# The part of a key that names the day: audit/dt=2026-04-01/.
DAY: Final = "dt"
# No ledger of this project is older: an earlier day would cost each query without dt a request.
FIRST_DAY: Final = date(2026, 1, 1)
_PROPERTIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EXTERNAL": "TRUE",
        "classification": "json",
        "projection.enabled": "true",
        f"projection.{DAY}.type": "date",
        f"projection.{DAY}.format": "yyyy-MM-dd",
        f"projection.{DAY}.range": f"{FIRST_DAY.isoformat()},NOW",
        f"projection.{DAY}.interval": "1",
        f"projection.{DAY}.interval.unit": "DAYS",
        # Objects in Glacier that were restored are read, too; without it Athena leaves all of them out.
        "read_restored_glacier_objects": "true",
    }
)


class LedgerTable(Capability):
    """The database `huntaze_stripe_{env}` with the table `deliveries`; it gives nobody a right."""

    def __init__(self, scope: Construct, id_: str, *, account: Account, ledger: Ledger) -> None:
        super().__init__(scope, id_)
        database = self.add(
            GlueCatalogDatabase,
            "database",
            name=database_name(account.environment),
            description="The audit ledger of Stripe events, for Athena",
        )
        self.add(
            GlueCatalogTable,
            "",
            name=LEDGER_TABLE,
            database_name=database.name,
            description="Deliveries of Stripe events, as the audit function wrote them",
            table_type="EXTERNAL_TABLE",
            parameters=dict(_PROPERTIES),
            partition_keys=[
                GlueCatalogTablePartitionKeys(
                    name=DAY, type="string", comment="day in UTC, like 2026-04-01: name it in each query"
                )
            ],
            storage_descriptor=GlueCatalogTableStorageDescriptor(
                location=f"s3://{ledger.name}/{names.LEDGER_PREFIX}",
                input_format="org.apache.hadoop.mapred.TextInputFormat",
                output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                columns=[
                    GlueCatalogTableStorageDescriptorColumns(name=name, type="string", comment=comment)
                    for name, comment in COLUMNS.items()
                ],
                ser_de_info=GlueCatalogTableStorageDescriptorSerDeInfo(
                    serialization_library="org.openx.data.jsonserde.JsonSerDe",
                    # A customer may have two keys of metadata that differ in case alone: they are not one.
                    parameters={"case.insensitive": "FALSE"},
                ),
            ),
        )
