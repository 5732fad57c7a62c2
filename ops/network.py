"""Whether the audit function, in its subnets, reaches the AWS services that it needs.

A function's network interface has no public address, so a route to an internet gateway leads nowhere (AWS
Lambda, "Enable internet access for VPC-connected Lambda functions").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

# The ledger, its secrets, and its dead-letter queue. Logs and X-Ray are written by Lambda itself, and Lambda
# also receives from the queue.
SERVICES: Final = ("s3", "secretsmanager", "sqs")
EVERYWHERE: Final = "0.0.0.0/0"
INTERNET_GATEWAY: Final = "igw-"
AVAILABLE: Final = "available"

Described = Mapping[str, Any]


def dead_ends(ec2: Any, subnet_ids: Sequence[str], region: str) -> Iterator[str]:
    """Yield a line for each subnet from which a service of `SERVICES` can't be reached.

    Parameters
    ----------
    ec2
        A client of EC2. It needs `ec2:DescribeSubnets`, `DescribeRouteTables` and `DescribeVpcEndpoints`.
    """
    for subnet in ec2.describe_subnets(SubnetIds=list(subnet_ids))["Subnets"]:
        vpc = subnet["VpcId"]
        table = _route_table(ec2, subnet["SubnetId"], vpc)
        if any(_leads_out(route) for route in table["Routes"]):
            continue
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "vpc-endpoint-state", "Values": [AVAILABLE]}]
        endpoints = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        missing = [
            service
            for service in SERVICES
            if not any(_serves(endpoint, f".{region}.{service}", table) for endpoint in endpoints)
        ]
        if missing:
            yield (
                f"audit_subnet_ids: from {subnet['SubnetId']} the audit function can't reach "
                f"{', '.join(missing)}: its route table {table['RouteTableId']} has no NAT gateway, and "
                f"{vpc} has no endpoint for them; create VPC endpoints (s3 as a gateway endpoint of that "
                "table, the others with private DNS), or use subnets with a NAT gateway"
            )


def _route_table(ec2: Any, subnet: str, vpc: str) -> Described:
    """Return the route table of a subnet: its own, or else the main one of the VPC."""
    own = [{"Name": "association.subnet-id", "Values": [subnet]}]
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    tables = (
        ec2.describe_route_tables(Filters=own)["RouteTables"]
        or ec2.describe_route_tables(Filters=main)["RouteTables"]
    )
    found: Described = tables[0]
    return found


def _leads_out(route: Described) -> bool:
    return (
        route.get("DestinationCidrBlock") == EVERYWHERE
        and route.get("State") == "active"
        and not route.get("GatewayId", "").startswith(INTERNET_GATEWAY)
    )


def _serves(endpoint: Described, service: str, table: Described) -> bool:
    if not endpoint["ServiceName"].endswith(service):
        return False
    if endpoint["VpcEndpointType"] == "Gateway":
        return table["RouteTableId"] in endpoint.get("RouteTableIds", ())
    return bool(endpoint.get("PrivateDnsEnabled"))
