"""Which subnets of the audit function lead to what it works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra import settings
from ops.environment import Environment
from ops.network import dead_ends
from ops.preflight import findings

REGION = "eu-west-1"
LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
BLACKHOLE = NAT | {"State": "blackhole"}
INTERNET = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}


def endpoint(service: str, kind: str = "Interface", **more: Any) -> dict[str, Any]:
    name = f"com.amazonaws.{REGION}.{service}"
    return {"ServiceName": name, "VpcEndpointType": kind, "PrivateDnsEnabled": True, **more}


S3 = endpoint("s3", "Gateway", RouteTableIds=["rtb-main"], PrivateDnsEnabled=False)
ALL = [S3, endpoint("secretsmanager"), endpoint("sqs")]


@dataclass
class Vpc:
    """A VPC with two subnets, of which one has a route table of its own."""

    main: list[dict[str, Any]] = field(default_factory=lambda: [LOCAL])
    own: list[dict[str, Any]] = field(default_factory=lambda: [LOCAL, NAT])
    endpoints: list[dict[str, Any]] = field(default_factory=list)

    def describe_subnets(self, **call: list[str]) -> dict[str, Any]:
        return {"Subnets": [{"SubnetId": each, "VpcId": "vpc-1"} for each in call["SubnetIds"]]}

    def describe_route_tables(self, **call: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = {each["Name"]: each["Values"] for each in call["Filters"]}
        if wanted == {"association.subnet-id": ["subnet-own"]}:
            return {"RouteTables": [{"RouteTableId": "rtb-own", "Routes": self.own}]}
        if "association.subnet-id" in wanted:
            return {"RouteTables": []}
        assert wanted == {"vpc-id": ["vpc-1"], "association.main": ["true"]}
        return {"RouteTables": [{"RouteTableId": "rtb-main", "Routes": self.main}]}

    def describe_vpc_endpoints(self, **call: list[dict[str, Any]]) -> dict[str, Any]:
        assert call["Filters"][0] == {"Name": "vpc-id", "Values": ["vpc-1"]}
        return {"VpcEndpoints": self.endpoints}


def lines(vpc: Vpc, *subnets: str) -> list[str]:
    return list(dead_ends(vpc, subnets, REGION))


@pytest.mark.parametrize("routes", [[LOCAL], [LOCAL, INTERNET], [LOCAL, BLACKHOLE]])
def test_subnet_without_a_route_to_aws_is_reported_in_one_line(routes: list[dict[str, Any]]) -> None:
    (line,) = lines(Vpc(main=routes), "subnet-own", "subnet-plain")
    for part in ("subnet-plain", "s3, secretsmanager, sqs", "rtb-main", "vpc-1", "gateway endpoint"):
        assert part in line
    assert "\n" not in line


def test_nat_gateway_and_endpoints_are_routes_to_aws() -> None:
    assert lines(Vpc(), "subnet-own") == []
    assert lines(Vpc(endpoints=ALL), "subnet-plain") == []


@pytest.mark.parametrize(
    ("endpoints", "missing"),
    [
        (ALL[:2], "sqs"),
        ([*ALL[:2], endpoint("sqs", PrivateDnsEnabled=False)], "sqs"),
        ([S3 | {"RouteTableIds": ["rtb-own"]}, *ALL[1:]], "s3"),
        ([endpoint("s3-outposts"), *ALL[1:]], "s3"),
    ],
)
def test_an_endpoint_that_does_not_serve_the_subnet_is_reported(
    endpoints: list[dict[str, Any]], missing: str
) -> None:
    (line,) = lines(Vpc(endpoints=endpoints), "subnet-plain")
    assert f"can't reach {missing}:" in line


def found(vpc: Vpc, environ: dict[str, str]) -> list[Any]:
    class Account(Vpc):
        def describe_event_source(self, **_: str) -> dict[str, Any]:
            return {"State": "PENDING"}

    source = "aws.partner/stripe.com/ed_1"
    environment = SimpleNamespace(
        settings=settings.load("dev", environ={"STRIPE_EVENT_SOURCE_NAME": source, **environ}),
        bus=source,
        region=REGION,
        account_id="1",
        client=lambda _service: Account(vpc.main, vpc.own, vpc.endpoints),
    )
    # Each look speaks for itself.
    everything = findings(cast("Environment", environment), makes_bus=True)
    return [finding for finding in everything if "audit" in finding.text]


def test_a_deploy_is_refused_where_the_audit_would_store_nothing() -> None:
    in_vpc = {"AUDIT_SUBNET_IDS": "subnet-plain", "AUDIT_SECURITY_GROUP_IDS": "sg-1"}
    (finding,) = found(Vpc(), in_vpc)
    assert finding.fatal
    assert finding.text.startswith("audit_subnet_ids: from subnet-plain")
    assert found(Vpc(endpoints=ALL), in_vpc) == []
    assert found(Vpc(), {}) == []
