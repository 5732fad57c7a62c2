"""Write docs/permissions.md: who may do what, on what, and why. `make docs`; a test compares the page.

The statements are those of the synthesised Terraform with every optional part. An end-to-end test shows that
each action of each statement is needed: the embedded AWS refuses a call of the run without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from ops import DEFAULT_ENVIRONMENT, ROOT
from ops.console import print_line
from ops.dev import command_rights
from ops.dev.synthesised import synthesised
from ops.local.variants import ALL, VARIANTS

FILE: Final = ROOT / "docs" / "permissions.md"
_REFERENCE: Final = re.compile(r"\$\{(?:(?P<function>\w+)\()?(?P<path>[\w.]+)\)?\}")
_ARN: Final = re.compile(r"^arn:[^:]*:(?P<service>[^:]*):[^:]*:[^:]*:(?P<resource>.*)$")

# Why each statement is there. Sids of one kind differ in a number at the end.
PURPOSES: Final[Mapping[str, str]] = {
    "AccountAdministers": "Lets the account's IAM policies apply; without it nobody could change the key",
    "AddToLedger": "Stores each batch of events",
    "AllowAlarms": "Alarms notify people",
    "AllowEventBridge": "A rule sends events that it can't deliver, or those of the audit",
    "AllowEventBridgeRule": "The rule invokes the handler",
    "AllowEvents": "The rule writes events to the log",
    "AllowService": "The service works as this role, for this account alone",
    "AllowStreams": "The rule creates its stream in the log",
    "ConsumeAudit": "Redrives the audit's dead-letter queues",
    "ConsumeBilling": "Redrives the handler's dead-letter queue",
    "ConsumePayments": "Redrives the handler's dead-letter queue",
    "ConsumeQueue": "Lambda reads the events queue for the function",
    "DenyPlainText": "Nobody may call it without TLS",
    "EventBridgeDescribes": "EventBridge checks the key when a bus or an archive starts to use it",
    "EventBridgeSends": "A rule sends to the encrypted events queue",
    "EventBridgeStores": "The bus and the archive store and read events",
    "HideObjects": "Puts small objects behind delete markers once a compacted one holds them",
    "HoldLedger": "Keeps erasures away while it works",
    "InvokeBilling": "Hands an event to the handler again",
    "InvokeFunction": "Starts the function's run",
    "InvokePayments": "Hands an event to the handler again",
    "JoinNetwork": "Lambda attaches the function to the subnets",
    "KeepCheckpoint": "Remembers up to when events were compared",
    "KeepIdempotencyRecords": "Writes down which event was applied",
    "KeepRun": "Lets one redrive run at a time",
    "ListLedger": "Finds the ledger's objects; without it S3 answers 403 for one that does not exist",
    "LogsStores": "CloudWatch Logs stores and reads the encrypted logs",
    "ParkMessages": "Parks an event that can't be stored",
    "ReadLedger": "Compares Stripe's events with the ledger, or compacts it",
    "ReadRecords": "Compares Stripe's events with what the handlers applied, since the table exists",
    "ReadSecret": "Reads the values that the function needs, and no other",
    "ReadWithFormerKeys": "Reads what an earlier key encrypted",
    "ReadWithKey": "Decrypts its variables, secrets, items, objects or messages",
    "SendToAudit": "Redrives to the events queue",
    "SendToQueue": "Parks an event, or sends it to the audit",
    "SendTraces": "Lambda sends the function's traces",
    "WriteCompacted": "Writes compacted objects, and no others",
    "WriteLogs": "Writes the function's log",
    "WriteWithKey": "Encrypts what it writes",
}
# Actions and services that no call of the embedded AWS needs, and why they stay.
_REENCRYPTED: Final = (
    "EventBridge re-encrypts what it stored when the key of a bus or an archive is replaced "
    '("Encrypting event buses with AWS KMS keys")'
)
_DELIVERED: Final = (
    "The policy that the console writes names both services "
    '("Using resource-based policies for Amazon EventBridge")'
)
NOT_EXERCISED: Final[Mapping[tuple[str, str], str]] = {
    ("EventBridgeStores", "kms:ReEncryptFrom"): _REENCRYPTED,
    ("EventBridgeStores", "kms:ReEncryptTo"): _REENCRYPTED,
    ("ReadRecords", "dynamodb:BatchGetItem"): (
        "The reconcile function looks for records of events that are hours old; an environment of the tests "
        "is younger"
    ),
    ("AllowStreams", "delivery.logs.amazonaws.com"): _DELIVERED,
    ("AllowEvents", "delivery.logs.amazonaws.com"): _DELIVERED,
}


@dataclass(frozen=True)
class Granted:
    """One statement of one policy.

    Parameters
    ----------
    place
        The policy, as `ops.emulator.permissions.Policy` names it.
    principal
        Empty in the policy of a role.
    """

    place: str
    sid: str
    effect: str
    principal: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str

    @property
    def purpose(self) -> str:
        """Why the statement is there."""
        return PURPOSES[self.sid.rstrip("0123456789")]


def text() -> str:
    """Return the page."""
    named = _page(granted(_document()))
    return named.replace(f"-{DEFAULT_ENVIRONMENT}", "-ENV").replace(
        f"stripe-eventbridge/{DEFAULT_ENVIRONMENT}", "stripe-eventbridge/ENV"
    )


def main() -> None:
    """Write the page."""
    FILE.write_text(text(), encoding="utf-8")
    print_line(f"{FILE.relative_to(ROOT)} written")


def granted(document: Mapping[str, Any]) -> list[Granted]:
    """Return the statements of all policies in a `cdk.tf.json`, in the order of their places."""
    reader = _Reader(document["resource"])
    return sorted(reader.statements(), key=lambda each: (each.place, each.sid))


@dataclass(frozen=True)
class _Reader:
    resources: Mapping[str, Mapping[str, Any]]

    def statements(self) -> Iterator[Granted]:
        for place, document in self._policies():
            for statement in json.loads(document)["Statement"]:
                yield self._granted(place, statement)
        for permission in self._all("aws_lambda_permission"):
            yield Granted(
                f"function {self._plain(permission['function_name'])}",
                permission["statement_id"],
                "Allow",
                permission["principal"],
                (permission["action"],),
                (),
                f"aws:SourceArn {self._plain(permission['source_arn'])}",
            )

    def _policies(self) -> Iterator[tuple[str, str]]:
        for role in self._all("aws_iam_role"):
            yield f"trust policy of role {role['name']}", role["assume_role_policy"]
        for policy in self._all("aws_iam_role_policy"):
            yield f"role {policy['name']}", policy["policy"]
        for policy in self._all("aws_sqs_queue_policy"):
            yield f"queue {self._queue(policy['queue_url'])}", policy["policy"]
        for topic in self._all("aws_sns_topic"):
            yield f"topic {topic['name']}", topic["policy"]
        for policy in self._all("aws_s3_bucket_policy"):
            yield f"bucket {self._plain(policy['bucket'])}", policy["policy"]
        for key, alias in zip(self._all("aws_kms_key"), self._all("aws_kms_alias"), strict=True):
            yield f"key {alias['name'].removeprefix('alias/')}", key["policy"]
        for policy in self._all("aws_cloudwatch_log_resource_policy"):
            yield f"log group policy {policy['policy_name']}", policy["policy_document"]

    def _all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        return list(self.resources.get(kind, {}).values())

    def _granted(self, place: str, statement: Mapping[str, Any]) -> Granted:
        condition = "; ".join(
            f"{operator} {key} {', '.join(map(self._plain, _listed(value)))}"
            for operator, keys in statement.get("Condition", {}).items()
            for key, value in keys.items()
        )
        return Granted(
            place,
            statement["Sid"],
            statement["Effect"],
            ", ".join(self._principals(statement.get("Principal", ""))),
            tuple(statement["Action"]),
            tuple(map(self._plain, _listed(statement.get("Resource", [])))),
            condition,
        )

    def _principals(self, principal: Any) -> list[str]:
        if isinstance(principal, str):
            return [principal] if principal else []
        return [self._plain(name) for names in principal.values() for name in _listed(names)]

    def _plain(self, value: str) -> str:
        """Return a value with names for references, and an ARN without partition, region and account."""
        named = _REFERENCE.sub(self._name, value)
        found = _ARN.match(named)
        return f"{found['service']}:{found['resource']}" if found else named

    def _name(self, reference: re.Match[str]) -> str:
        kind, address, attribute = reference["path"].removeprefix("data.").split(".")
        if kind in ("aws_caller_identity", "aws_partition"):
            return "ACCOUNT" if attribute == "account_id" else "aws"
        if reference["function"] == "basename":
            return self._queue(reference[0].replace("basename(", "").replace(")", ""))
        resource = self.resources[kind][address]
        if kind == "aws_kms_key":
            return "the key"
        names = ("name", "function_name", "bucket")
        return _REFERENCE.sub(self._name, next(resource[name] for name in names if name in resource))

    def _queue(self, url: str) -> str:
        found = _REFERENCE.search(url)
        assert found is not None, url
        address = found["path"].split(".")[1].removesuffix("_policy")
        queue = self.resources["aws_cloudcontrolapi_resource"][address]
        name: str = json.loads(queue["desired_state"])["QueueName"]
        return name


def _page(statements: Sequence[Granted]) -> str:
    roles = [each for each in statements if not each.principal]
    others = [each for each in statements if each.principal]
    commands = ("", *command_rights.section(DEFAULT_ENVIRONMENT))
    return "\n".join([*_INTRODUCTION, *_roles(roles), *_OTHERS, *_resources(others), *commands, *_last(), ""])


_INTRODUCTION: Final = (
    "# Permissions",
    "",
    "Who may do what, on what, and why. This page is generated from the synthesised Terraform of an",
    "environment with every optional part (`huntaze-stripe local --variant all`). The default environment",
    "has a part of it. `ENV` stands for the environment's name, and an ARN is shown without region and",
    "account.",
    "",
    "Each action, resource and service of each statement is needed: `tests/e2e/test_permissions.py`",
    "deploys the environment to the embedded AWS, runs events through it, and finds a call that is",
    "refused without it. What no call needs is [at the end](#not-exercised), with the reason why it",
    "stays. Which rights AWS asks for a network, traces and encrypted logs is taken from its",
    "documentation.",
    "",
    "## Roles of functions and schedules",
    "",
)
_OTHERS: Final = ("## Policies of resources",)
_COLUMNS: Final = ("Actions", "On", "If", "Why")


def _roles(statements: Sequence[Granted]) -> Iterator[str]:
    for place, found in groupby(statements, lambda each: each.place):
        yield from (f"### `{_name(place)}`", "", *_table(("Statement", *_COLUMNS)))
        for each in found:
            yield _row(_statement(each), *_cells(each))
        yield ""


def _resources(statements: Sequence[Granted]) -> Iterator[str]:
    for kind, found in groupby(statements, lambda each: _kind(each.place)):
        yield from (
            "",
            f"### {kind[0].upper()}{kind[1:]}",
            "",
            *_table(("Of", "Statement", "Who", *_COLUMNS)),
        )
        for each in found:
            who = _values(each.principal.split(", "))
            yield _row(f"`{_name(each.place)}`", _statement(each), who, *_cells(each))


def _table(names: Sequence[str]) -> Iterator[str]:
    yield _row(*names)
    yield f"|{'---|' * len(names)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _statement(statement: Granted) -> str:
    return f"`{statement.sid}`" + ("" if statement.effect == "Allow" else ", **deny**")


def _cells(statement: Granted) -> Iterator[str]:
    yield _values(statement.actions)
    yield _values(statement.resources) or "itself"
    yield f"`{statement.condition}`" if statement.condition else ""
    yield statement.purpose


def _values(values: Sequence[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values)


def _kind(place: str) -> str:
    return place.rpartition(" ")[0]


def _name(place: str) -> str:
    return place.rpartition(" ")[2]


def _last() -> Iterator[str]:
    yield from (
        "",
        "## Not exercised",
        "",
        "| Statement | Action or service | Why it stays |",
        "|---|---|---|",
    )
    for (sid, action), reason in sorted({**NOT_EXERCISED, **command_rights.NOT_EXERCISED}.items()):
        yield f"| `{sid}` | `{action}` | {reason} |"


def _document() -> dict[str, Any]:
    network = {"AUDIT_SUBNET_IDS": "subnet-0a", "AUDIT_SECURITY_GROUP_IDS": "sg-0a"}
    environ = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_ID", "ALERT_EMAILS": "none"}
    return synthesised(DEFAULT_ENVIRONMENT, {**environ, **network, **VARIANTS[ALL]})


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    main()
