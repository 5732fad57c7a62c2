"""What AWS services ask KMS for, and with whose permission, when a customer managed key encrypts a resource.

Sources: KMS developer guide, "How Amazon S3 / DynamoDB / Secrets Manager uses AWS KMS"; Amazon SQS, "Key
management"; CloudWatch Logs, "Encrypt log data using KMS"; EventBridge, "Encryption at rest"; Lambda,
"Securing Lambda environment variables".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ministack.core import responses
from ministack.services import dynamodb, kms, s3, secretsmanager, sqs

from ops.emulator.condition_keys import tags_of_key
from ops.emulator.permissions import DECISIONS, Call, Policy, Question, context_of
from ops.emulator.principals import by_service

DECRYPT: Final = "kms:Decrypt"
GENERATE: Final = "kms:GenerateDataKey"
READ: Final = (DECRYPT,)
WRITE: Final = (GENERATE, DECRYPT)


@dataclass(frozen=True)
class Use:
    """A resource's key, and the encryption context with which its service uses it."""

    key_arn: str
    context: Mapping[str, str]

    def keys(self, service: str = "") -> dict[str, Any]:
        """Return the condition keys of the call to KMS; `service` is the one that a role calls."""
        keys: dict[str, Any] = {
            f"kms:EncryptionContext:{name}": value for name, value in self.context.items()
        }
        keys["kms:EncryptionContextKeys"] = list(self.context)
        keys["kms:CallerAccount"] = responses.get_account_id()
        keys |= tags_of_key(self.key_arn)
        if service:
            keys["kms:ViaService"] = f"{service}.{responses.get_region()}.amazonaws.com"
        return keys


def refused_for_role(question: Question) -> Question | None:
    """Return the call to KMS that is refused after an allowed call to an encrypted resource, or None."""
    service, _, operation = question.call.action.partition(":")
    of_service = _BY_SERVICE.get(service)
    if of_service is None:
        return None
    actions = of_service[0].get(operation, ())
    for use in of_service[1](question.call.resource) if actions else ():
        for action in actions:
            call = Call(question.call.caller, action, use.key_arn, context_of(use.keys(service)))
            asked = Question(call, question.identity, key_policy(use.key_arn), question.limits, "both")
            if not DECISIONS.about(asked):
                return asked
    return None


def refused_for_service(
    principal: str, use: Use | None, actions: tuple[str, ...], source_arn: str
) -> str | None:
    """Return the KMS action that a key's policy refuses to a service, or None."""
    if use is None:
        return None
    policy = key_policy(use.key_arn)
    for action in actions:
        if not by_service(principal, action, use.key_arn, policy, source_arn, use.keys()):
            return action
    return None


def key_policy(key_arn: str) -> Policy:
    """Return the policy of a key; an empty one if the key doesn't exist."""
    found = kms.key_policy_for_arn(key_arn)
    key_id = key_arn.rpartition("/")[2]
    aliases = (arn.rpartition("alias/")[2] for arn, target in kms._aliases.items() if target == key_id)
    return Policy(f"key {next(aliases, key_id)}", found[0] if found else "")


def key_arn(identifier: str | None) -> str | None:
    """Return the ARN of a customer managed key by its id, ARN or alias; None for a key of AWS."""
    if not identifier or "alias/aws/" in identifier:
        return None
    key = kms._resolve_key(identifier)
    return key["Arn"] if key else identifier


def of_queue(arn: str) -> Use | None:
    """Return the key use of a queue."""
    queue = sqs._queue_by_arn(arn)
    return _use(queue and queue["attributes"].get("KmsMasterKeyId"), {"aws:sqs:arn": arn})


def of_function(config: Mapping[str, Any]) -> Use | None:
    """Return the key use of a function's environment variables."""
    return _use(config.get("KMSKeyArn"), {"aws:lambda:FunctionArn": config.get("FunctionArn", "")})


def of_bus(bus: Mapping[str, Any], arn: str) -> Use | None:
    """Return the key use of an event bus, or of an archive by its own ARN."""
    return _use(bus.get("KmsKeyIdentifier"), {"aws:events:event-bus:arn": arn})


def _use(identifier: str | None, context: Mapping[str, str]) -> Use | None:
    found = key_arn(identifier)
    return Use(found, context) if found else None


def _queue(arn: str) -> Iterator[Use]:
    if use := of_queue(arn):
        yield use


def _table(arn: str) -> Iterator[Use]:
    name = arn.partition(":table/")[2].partition("/")[0]
    table = dynamodb._tables.get(name) or {}
    described = table.get("SSEDescription") or {}
    context = {"aws:dynamodb:tableName": name, "aws:dynamodb:subscriberId": responses.get_account_id()}
    if use := _use(described.get("KMSMasterKeyArn"), context):
        yield use


def _object(arn: str) -> Iterator[Use]:
    bucket = arn.removeprefix("arn:aws:s3:::").partition("/")[0]
    rules = s3._bucket_default_sse_headers(bucket)
    # With a bucket key the context is the bucket, and the key is asked once for many objects.
    if use := _use(
        rules.get("x-amz-server-side-encryption-aws-kms-key-id"), {"aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    ):
        yield use


def _secret(arn: str) -> Iterator[Use]:
    for secret in secretsmanager._secrets.values():
        if secret.get("ARN") == arn and (use := _use(secret.get("KmsKeyId"), {"SecretARN": arn})):
            yield use


# By service: the KMS actions that each operation needs, and the keys of the resource that it names.
_BY_SERVICE: Final[Mapping[str, tuple[Mapping[str, tuple[str, ...]], Callable[[str], Iterator[Use]]]]] = {
    "sqs": ({"SendMessage": WRITE, "ReceiveMessage": READ}, _queue),
    "s3": ({"PutObject": (GENERATE,), "GetObject": READ, "GetObjectVersion": READ}, _object),
    "dynamodb": (
        dict.fromkeys(
            (
                "BatchGetItem",
                "BatchWriteItem",
                "ConditionCheckItem",
                "DeleteItem",
                "GetItem",
                "PutItem",
                "Query",
                "Scan",
                "UpdateItem",
            ),
            READ,
        ),
        _table,
    ),
    "secretsmanager": ({"GetSecretValue": READ, "PutSecretValue": WRITE}, _secret),
}
