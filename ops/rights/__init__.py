"""What each command asks of AWS: the statements of a role that may run the command and do nothing else.

End-to-end tests run each command under exactly its statements, and find a call for each action.
`docs/permissions.md` shows them. Terraform, which some commands run, has those of `infra.deployment_roles`.

Source: Service Authorization Reference (actions, resource types and condition keys).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from functions.shared import names
from infra.policy import Statement
from ops.preflight import FUNCTIONS
from ops.rights import console, doctor
from ops.rights.place import Place
from ops.rights.why import WHY

__all__ = ["KEY_STATEMENTS", "WHY", "Place", "of_commands", "without_options"]

Statements = tuple[Statement, ...]

KEY_STATEMENTS: Final = ("ReadKeyPolicy", "ReadWithKey", "WriteWithKey")


def of_commands(place: Place) -> dict[str, Statements]:
    """Return the statements of each command that calls AWS beside Terraform, in the order of the page.

    An option in a command's name needs more than the command without it; `--dry-run` never does.
    """
    return {
        **_of_dead_letters(place),
        **_of_replays(place),
        **_of_reconcile(place),
        **_of_verify(place),
        **_of_stories(place),
        **_of_switches(place),
        **_of_customers(place),
        **_of_ledger(place),
        **_of_deploys(place),
        **_of_secrets(place),
        **_of_destinations(place),
        "doctor": (*doctor.statements(place), *_key(place, "Decrypt")),
        **_of_console(place),
    }


def without_options(command: str) -> str:
    """Return a command's own name: `replay start` of `replay start --force`."""
    return command.partition(" --")[0]


def _of_console(place: Place) -> dict[str, Statements]:
    dead_letters, replays = _of_dead_letters(place), _of_replays(place)
    reconcile = _of_reconcile(place)
    read = _once(
        *console.reads(place),
        *_of_stories(place)["story"],
        # A forecast starts nothing.
        *(each for each in replays["replay start"] if each.sid != "StartReplay"),
    )
    change = _once(
        *read,
        console.record(place),
        console.send(place),
        *dead_letters["dlq redrive"],
        *replays["replay start --force"],
        *replays["replay cancel"],
        *reconcile["reconcile --heal"],
    )
    return {"console": read, "console --allow-changes": change}


# Of what a console's other statements grant already: two that grant one call would both be superfluous.
_GRANTED: Final = ("CountRecords", "SendToAudit")


def _once(*statements: Statement) -> Statements:
    """Return the statements of several commands for one role, each once."""
    return tuple({each.sid: each for each in statements if each.sid not in _GRANTED}.values())


def _of_dead_letters(place: Place) -> dict[str, Statements]:
    look = (_look_into_queues(place),)
    delete = Statement("DeleteMessages", ["sqs:DeleteMessage"], place.dead_letter_queues)
    return {
        "dlq list": look,
        "dlq show": look,
        "dlq redrive": (
            *look,
            delete,
            *_send_again(place),
            *_key(place, "Decrypt"),
            *_key(place, "GenerateDataKey"),
        ),
        "dlq purge": (*look, delete),
    }


def _of_replays(place: Place) -> dict[str, Statements]:
    find = (
        *_find_replays(place),
        Statement("DescribeReplays", ["events:DescribeReplay"], place.replays),
    )
    bus = place.arn("events", f"event-bus/{place.bus}")
    start = (
        *find,
        _describe_rules(place),
        *_read_ledger(place),
        Statement("CountRecords", ["dynamodb:BatchGetItem"], [place.table]),
        Statement("StartReplay", ["events:StartReplay"], [*place.archives, bus, *place.replays]),
        *_key(place, "Decrypt"),
    )
    record = Statement("WriteReplay", ["s3:PutObject"], [f"{place.ledger}/{names.REPLAYS_PREFIX}*"])
    cancel = Statement("CancelReplay", ["events:CancelReplay"], place.replays)
    return {
        "replay start": start,
        "replay start --force": (*start, record, *_key(place, "GenerateDataKey")),
        "replay status": find,
        "replay cancel": (find[-1], cancel),
    }


def _find_replays(place: Place) -> Statements:
    return (
        Statement("ListArchives", ["events:ListArchives"], ["*"]),
        Statement("FindArchives", ["events:DescribeArchive"], place.archives),
        Statement("ListReplays", ["events:ListReplays"], ["*"]),
    )


def _describe_rules(place: Place) -> Statement:
    rules = place.rules(*names.HANDLERS, *(f"audit-{handler}" for handler in names.HANDLERS), "audit")
    return Statement("DescribeRules", ["events:DescribeRule"], rules)


def _of_reconcile(place: Place) -> dict[str, Statements]:
    compare = (
        _read_stripe_key(place),
        *_read_ledger(place),
        Statement("CountRecords", ["dynamodb:BatchGetItem"], [place.table]),
        *_key(place, "Decrypt"),
    )
    heal = (*compare, *_send_again(place), *_key(place, "GenerateDataKey"))
    return {"reconcile": compare, "reconcile --heal": heal}


def _of_verify(place: Place) -> dict[str, Statements]:
    compare = _of_reconcile(place)["reconcile"]
    groups = [place.arn("logs", f"log-group:/aws/lambda/{place.name(each)}:*") for each in names.HANDLERS]
    return {"verify": (*compare, Statement("ReadHandlerLogs", ["logs:FilterLogEvents"], groups))}


def _of_stories(place: Place) -> dict[str, Statements]:
    functions = (*names.HANDLERS, "audit", "redrive")
    groups = [place.arn("logs", f"log-group:/aws/lambda/{place.name(each)}:*") for each in functions]
    story = (
        _read_stripe_key(place),
        Statement("ReadFunctionLogs", ["logs:FilterLogEvents"], groups),
        *_read_ledger(place),
        _look_into_queues(place),
        *_find_replays(place),
        _describe_rules(place),
        Statement("ReadItems", ["dynamodb:BatchGetItem"], [place.table]),
        *_key(place, "Decrypt"),
    )
    watch = (story[1], *_read_ledger(place), *_key(place, "Decrypt"))
    return {"story": story, "watch": watch}


def _of_switches(place: Place) -> dict[str, Statements]:
    rules = place.rules(*names.HANDLERS)
    schedules = [place.arn("scheduler", f"schedule/default/{name}") for name in place.schedules]
    status = (
        Statement("ReadRules", ["events:DescribeRule", "events:ListTagsForResource"], rules),
        Statement("ListMappings", ["lambda:ListEventSourceMappings"], ["*"]),
        Statement("ReadSchedules", ["scheduler:GetSchedule"], schedules),
    )
    change = (
        Statement(
            "ChangeMapping",
            ["lambda:UpdateEventSourceMapping"],
            [place.arn("lambda", "event-source-mapping:*")],
            condition={"ArnEquals": {"lambda:FunctionArn": place.functions("audit")[0]}},
        ),
        Statement("ChangeSchedules", ["scheduler:UpdateSchedule"], schedules),
        Statement(
            "PassRole",
            ["iam:PassRole"],
            [f"arn:{place.partition}:iam::{place.account_id}:role/{name}" for name in place.schedules],
            condition={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        ),
    )
    pause = Statement("PauseRules", ["events:DisableRule", "events:TagResource"], rules)
    resume = Statement("ResumeRules", ["events:EnableRule", "events:UntagResource"], rules)
    return {
        "pause --status": status,
        "resume --status": status,
        "pause": (*status, pause, *change),
        "resume": (*status, resume, *change),
    }


def _of_customers(place: Place) -> dict[str, Statements]:
    objects = [f"{place.ledger}/{names.LEDGER_PREFIX}*"]
    export = (
        _look_into_queues(place),
        Statement("CountWaiting", ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], [place.audit_queue]),
        Statement("ListVersions", ["s3:ListBucketVersions"], [place.ledger]),
        Statement("ReadVersions", ["s3:GetObjectVersion"], objects),
        Statement(
            "ReadDatabaseSecret", ["secretsmanager:GetSecretValue"], [place.secret(names.DATABASE_URL)]
        ),
        Statement("ReadItems", ["dynamodb:BatchGetItem"], [place.table]),
        *_key(place, "Decrypt"),
    )
    erase = (
        *export,
        Statement("CheckLocks", ["s3:GetBucketObjectLockConfiguration"], [place.ledger]),
        Statement("CheckLocksOfObjects", ["s3:GetObjectLegalHold", "s3:GetObjectRetention"], objects),
        Statement("WriteErasure", ["s3:PutObject"], [f"{place.ledger}/{names.ERASURES_PREFIX}*"]),
        Statement("RewriteLedger", ["s3:GetObject", "s3:PutObject"], objects),
        Statement("EraseVersions", ["s3:DeleteObjectVersion"], objects),
        Statement("EraseHashes", ["dynamodb:UpdateItem"], [place.table]),
        *_key(place, "GenerateDataKey"),
    )
    purge = Statement("DeleteMessages", ["sqs:DeleteMessage"], place.dead_letter_queues)
    return {
        "customer export": export,
        "customer erase": erase,
        "customer erase --parked": (*erase, purge),
    }


def _of_ledger(place: Place) -> dict[str, Statements]:
    read = (*_read_ledger(place), *_key(place, "Decrypt"))
    return {"ledger query": read, "ledger export": read}


def _of_deploys(place: Place) -> dict[str, Statements]:
    network = ["ec2:DescribeRouteTables", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints"]
    check = (
        Statement("CheckQuota", ["lambda:GetAccountSettings"], ["*"]),
        Statement("CheckReserved", ["lambda:GetFunctionConcurrency"], place.functions(*FUNCTIONS.values())),
        Statement("CheckSource", ["events:DescribeEventSource"], [place.source]),
        Statement("CheckNetwork", network, ["*"]),
        Statement("CheckSubscribers", ["sns:ListSubscriptionsByTopic"], [place.topic]),
    )
    every = [place.audit_queue, *place.dead_letter_queues]
    secrets = Statement("CheckSecrets", ["secretsmanager:GetSecretValue"], _secrets(place))
    deploy = (*check, secrets, *_key(place, "Decrypt"))
    return {"plan": check, "deploy": deploy, "adopt": (Statement("FindQueues", ["sqs:GetQueueUrl"], every),)}


def _of_secrets(place: Place) -> dict[str, Statements]:
    write = Statement("WriteSecrets", ["secretsmanager:PutSecretValue"], _secrets(place))
    label = Statement(
        "KeepDeployed",
        ["secretsmanager:DescribeSecret", "secretsmanager:UpdateSecretVersionStage"],
        _secrets(place),
    )
    read = Statement("ReadSecrets", ["secretsmanager:GetSecretValue"], _secrets(place))
    return {
        "secrets push": (label, write, *_key(place, "Decrypt"), *_key(place, "GenerateDataKey")),
        "secrets check": (read, *_key(place, "Decrypt")),
    }


def _secrets(place: Place) -> list[str]:
    return [place.secret(key) for key in names.SECRET_KEYS]


def _of_destinations(place: Place) -> dict[str, Statements]:
    key = (_read_stripe_key(place), *_key(place, "Decrypt"))
    source = Statement("CheckSource", ["events:DescribeEventSource"], [place.source])
    others = ("status", "update", "enable", "disable", "ping", "delete")
    return {"destination create": (*key, source), **{f"destination {each}": key for each in others}}


def _read_stripe_key(place: Place) -> Statement:
    secret = [place.secret(names.STRIPE_SECRET_KEY)]
    return Statement("ReadStripeSecret", ["secretsmanager:GetSecretValue"], secret)


def _look_into_queues(place: Place) -> Statement:
    actions = ("ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage")
    return Statement("LookIntoQueues", [f"sqs:{each}" for each in actions], place.dead_letter_queues)


def _send_again(place: Place) -> Sequence[Statement]:
    """To the handlers and to the audit queue."""
    invoke = ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"]
    return (
        Statement("InvokeHandlers", invoke, place.functions(*names.HANDLERS)),
        Statement("SendToAudit", ["sqs:GetQueueUrl", "sqs:SendMessage"], [place.audit_queue]),
    )


def _read_ledger(place: Place) -> Sequence[Statement]:
    return (
        Statement("ListLedger", ["s3:ListBucket"], [place.ledger]),
        Statement("ReadLedger", ["s3:GetObject"], [f"{place.ledger}/{names.LEDGER_PREFIX}*"]),
    )


def _key(place: Place, action: str) -> Sequence[Statement]:
    """Return the right on the key that encrypts queues, table, ledger and secrets, if there is one."""
    sid = "ReadWithKey" if action == "Decrypt" else "WriteWithKey"
    return (Statement(sid, [f"kms:{action}"], [place.key]),) if place.key else ()
