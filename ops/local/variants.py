"""What can be on or off in an environment, as settings of a local run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ops.local.clients import Aws

DEFAULT: Final = "default"
ALL: Final = "all"
_KEY: Final = {"CREATE_KMS_KEY": "true"}
_BUS_LOGS: Final = {"BUS_LOGS": "true"}
_SCHEDULED: Final = {
    "AUTO_REDRIVE": "true",
    "AUTO_REDRIVE_MINUTES": "10",
    "RECONCILE": "heal",
    "RECONCILE_MINUTES": "1440",
    "RECONCILE_ACCOUNTS": "all",
    "LEDGER_COMPACTION": "true",
}
_ATHENA: Final = {"ATHENA_TABLE": "true"}
_TRACING: Final = {"LAMBDA_TRACING": "true"}
_THIN: Final = {"THIN_EVENTS": "true"}
VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    DEFAULT: {},
    "key": _KEY,
    "vpc": {},
    "bus-logs": _BUS_LOGS,
    "scheduled": _SCHEDULED,
    ALL: {**_KEY, **_BUS_LOGS, **_SCHEDULED, **_ATHENA, **_TRACING, **_THIN},
}
IN_NETWORK: Final = ("vpc", ALL)


def settings(variant: str, aws: Aws) -> dict[str, str]:
    """Return the environment variables of a variant, after creating the network that it needs."""
    return {**VARIANTS[variant], **(_network(aws) if variant in IN_NETWORK else {})}


def _network(aws: Aws) -> dict[str, str]:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="audit", Description="audit", VpcId=vpc)["GroupId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    ec2.create_route(
        RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway
    )
    return {"AUDIT_SUBNET_IDS": subnet, "AUDIT_SECURITY_GROUP_IDS": group}
