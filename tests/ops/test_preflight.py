"""What is looked at before an apply: the quota that reservations need, and the event source of the bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra import settings
from ops import preflight
from ops.deploy import SavedPlan, makes_bus
from ops.environment import Environment
from ops.errors import OperatorError
from ops.local import drive
from ops.local.clients import Aws
from ops.local.services import REGION, running_emulator
from ops.preflight import Finding, findings
from ops.terraform import PlanSummary

SOURCE = "aws.partner/stripe.com/ed_test_preflight"
ACCOUNT = "000000000000"
NOTHING: Mapping[str, str] = MappingProxyType({})
RESERVING = {"PAYMENTS_RESERVED_CONCURRENCY": "50", "BILLING_RESERVED_CONCURRENCY": "50"}


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class FakeAws:
    """An account by its quota, what its functions reserve, its event source's state, and what it denies."""

    quota: int = 1000
    reserved: Mapping[str, int] = field(default_factory=dict)
    source: str | None = "PENDING"
    denied: tuple[str, ...] = ()
    subscribers: Mapping[str, str] | None = None

    def get_account_settings(self) -> dict[str, Any]:
        self._allow("GetAccountSettings")
        unreserved = self.quota - sum(self.reserved.values())
        return {
            "AccountLimit": {"ConcurrentExecutions": self.quota, "UnreservedConcurrentExecutions": unreserved}
        }

    def get_function_concurrency(self, **call: str) -> dict[str, Any]:
        function = call["FunctionName"]
        if function not in self.reserved:
            raise refusal("ResourceNotFoundException", "GetFunctionConcurrency")
        return {"ReservedConcurrentExecutions": self.reserved[function]}

    def describe_event_source(self, **call: str) -> dict[str, Any]:
        self._allow("DescribeEventSource")
        if self.source is None:
            raise refusal("ResourceNotFoundException", "DescribeEventSource")
        return {**call, "State": self.source}

    def get_paginator(self, operation: str) -> FakeAws:
        assert operation == "list_subscriptions_by_topic"
        return self

    def paginate(self, **call: str) -> list[dict[str, Any]]:
        self._allow("ListSubscriptionsByTopic")
        assert call["TopicArn"] == f"arn:aws:sns:eu-west-1:{ACCOUNT}:huntaze-stripe-alerts-dev"
        if self.subscribers is None:
            raise refusal("NotFound", "ListSubscriptionsByTopic")
        return [
            {
                "Subscriptions": [
                    {"Endpoint": address, "Protocol": "email", "SubscriptionArn": arn}
                    for address, arn in self.subscribers.items()
                ]
            }
        ]

    def _allow(self, operation: str) -> None:
        if operation in self.denied:
            raise refusal("AccessDeniedException", operation)


def found(aws: FakeAws, environ: Mapping[str, str] = NOTHING, *, makes_bus: bool = True) -> list[Finding]:
    loaded = settings.load("dev", environ={"STRIPE_EVENT_SOURCE_NAME": SOURCE, **environ})
    environment = SimpleNamespace(
        settings=loaded,
        bus=SOURCE,
        region="eu-west-1",
        account_id=ACCOUNT,
        caller=(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/someone"),
        client=lambda _service: aws,
        resource=lambda part: f"huntaze-stripe-{part}-dev",
    )
    return list(findings(cast("Environment", environment), makes_bus=makes_bus))


def test_reservations_that_fit_make_no_finding() -> None:
    assert found(FakeAws(quota=200), RESERVING) == []
    assert found(FakeAws(quota=10)) == []


@pytest.mark.parametrize(("quota", "free", "needed"), [(10, 0, 200), (199, 99, 200)])
def test_reservations_beyond_the_quota_are_reported_with_settings_and_numbers(
    quota: int, free: int, needed: int
) -> None:
    (finding,) = found(FakeAws(quota=quota), RESERVING)
    assert finding.fatal
    assert "\n" not in finding.text
    assert finding.text.startswith(
        "payments.reserved_concurrency = 50 + billing.reserved_concurrency = 50 reserve 100 executions, but "
        f"the account has {free} left in eu-west-1: its quota is {quota}, "
    )
    assert finding.text.endswith(f"request a quota of {needed} concurrent executions")


def test_only_what_other_functions_reserve_reduces_the_quota() -> None:
    ours = {"huntaze-stripe-payments-dev": 50, "huntaze-stripe-billing-dev": 50}
    assert found(FakeAws(quota=200, reserved=ours), RESERVING) == []
    (finding,) = found(FakeAws(quota=200, reserved={"another": 1}), RESERVING)
    assert "others reserve 1 and 100 must stay unreserved" in finding.text


def test_functions_that_are_not_deployed_reserve_nothing() -> None:
    off = {"REDRIVE_RESERVED_CONCURRENCY": "5", "RECONCILIATION_RESERVED_CONCURRENCY": "5"}
    assert found(FakeAws(quota=100), off) == []
    (finding,) = found(FakeAws(quota=100), off | {"AUTO_REDRIVE": "true", "RECONCILE": "report"})
    assert "redrive.reserved_concurrency = 5 + reconciliation.reserved_concurrency = 5" in finding.text


@pytest.mark.parametrize(
    ("state", "makes", "expected"),
    [
        (None, True, "is not an event source of account 000000000000 and region eu-west-1"),
        (None, False, "is not an event source of"),
        ("DELETED", True, "was deleted by Stripe: create a new event destination"),
        ("ACTIVE", True, "is already associated with a bus that this deploy did not create"),
        ("ACTIVE", False, None),
        ("PENDING", True, None),
    ],
)
def test_the_bus_needs_an_event_source_that_waits_for_it(
    state: str | None, makes: bool, expected: str | None
) -> None:
    lines = found(FakeAws(source=state), makes_bus=makes)
    assert [finding.fatal for finding in lines] == ([] if expected is None else [True])
    assert all(
        expected is not None and expected in finding.text and SOURCE in finding.text for finding in lines
    )


def test_what_may_not_be_looked_at_is_a_warning_that_names_the_right() -> None:
    denied = FakeAws(quota=10, source=None, denied=("GetAccountSettings", "DescribeEventSource"))
    lines = found(denied, RESERVING)
    assert [finding.fatal for finding in lines] == [False, False]
    assert "the Lambda quota was not checked" in lines[0].text
    assert "the permission for GetAccountSettings" in lines[0].text
    assert "the permission for DescribeEventSource" in lines[1].text


def test_unconfirmed_subscribers_are_reported() -> None:
    confirmed = {"a@b.com": f"arn:aws:sns:eu-west-1:{ACCOUNT}:huntaze-stripe-alerts-dev:1"}
    assert found(FakeAws(subscribers=confirmed)) == []
    (finding,) = found(FakeAws(subscribers=confirmed | {"c@d.com": "PendingConfirmation"}))
    assert not finding.fatal
    assert finding.text.startswith("c@d.com has not confirmed and receives no alarms: ")
    assert "--protocol email --notification-endpoint c@d.com" in finding.text


BUS = {"type": "aws_cloudwatch_event_bus"}


@pytest.mark.parametrize(
    ("actions", "before", "after", "makes"),
    [
        (["create"], None, {"name": SOURCE}, True),
        (["delete", "create"], {"name": "another"}, {"name": SOURCE}, True),
        (["delete", "create"], {"name": SOURCE}, {"name": SOURCE}, False),
        (["update"], {"name": SOURCE}, {"name": SOURCE}, False),
        (["no-op"], {"name": SOURCE}, {"name": SOURCE}, False),
    ],
)
def test_a_plan_says_whether_it_creates_the_bus(
    actions: list[str], before: Any, after: Any, makes: bool
) -> None:
    change = {"actions": actions, "before": before, "after": after}
    assert makes_bus({"resource_changes": [{**BUS, "change": change}]}) is makes


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_emulator(tmp_path_factory.mktemp("preflight-aws")) as url:
        yield Aws(url, REGION)


@pytest.fixture
def plan(aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SavedPlan:
    for name, value in aws.credentials.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", SOURCE)
    file = tmp_path / "dev.md"
    return SavedPlan(cast("Any", None), file, PlanSummary(add=1, change=0, destroy=0), file, makes_bus=True)


def test_an_apply_that_would_fail_is_refused_and_a_plan_warns(aws: Aws, plan: SavedPlan) -> None:
    console = Console(record=True, width=400)
    with pytest.raises(OperatorError, match=r"is not an event source of account 0{12}"):
        preflight.check("dev", plan, console, applying=True)
    preflight.check("dev", plan, console, applying=False)
    assert "warning: stripe_event_source_name = " in console.export_text()
    drive.register_source(aws, SOURCE)
    preflight.check("dev", plan, console, applying=True)
    assert console.export_text() == "", "a new environment has no topic yet"
    aws.client("events").create_event_bus(Name=SOURCE, EventSourceName=SOURCE)
    with pytest.raises(OperatorError, match="already associated with a bus"):
        preflight.check("dev", plan, console, applying=True)


def test_nothing_to_apply_asks_no_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boto3, "Session", lambda **_: pytest.fail("AWS was asked"))
    nothing = SavedPlan(cast("Any", None), tmp_path, PlanSummary(), tmp_path)
    preflight.check("dev", nothing, Console(), applying=True)
