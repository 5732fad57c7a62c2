"""A handler in the embedded AWS: it returns the answer in the event and sends what it received to a queue."""

from __future__ import annotations

from ops.local.clients import Aws
from tests.emulator import resources, roles

PERSONAL = "jenny.rosen@example.com"
CODE = f"""
import json, os, time
import boto3

class TransientError(Exception): ...
class UnsettledError(Exception): ...
class ConfigurationError(Exception): ...

def handler(envelope, context):
    detail = envelope["detail"]
    boto3.client("sqs").send_message(QueueUrl=os.environ["SEEN"], MessageBody=detail["id"])
    answer = detail["answer"]
    if answer == "transient":
        raise TransientError("the API answered 503")
    if answer == "unsettled":
        raise UnsettledError("the first event of the same effect is not settled")
    if answer == "killed":
        os._exit(1)
    if answer == "configuration":
        raise ConfigurationError("no key")
    if answer == "bug":
        raise KeyError("{PERSONAL}")
    if answer == "slow":
        time.sleep(2)
        return {{"outcome": "applied"}}
    return {{"outcome": answer}}
"""


def make(aws: Aws, name: str, seen: str) -> None:
    """Make the handler; the queue `seen` gets each event's id, in the order of the invocations."""
    roles.administrator(aws)
    resources.function(aws, CODE, name, Timeout=30, Environment={"Variables": {"SEEN": seen}})
