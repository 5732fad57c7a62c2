"""Who may deliver: the policies of functions, queues, topic and key, asked as IAM would.

Each policy must allow its own sender, and refuse another rule, a stranger and plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from infra.names import PROJECT
from ops.console import plural
from ops.dlq import queues
from ops.doctor import deliveries
from ops.doctor.check import Finding, failed, passed, worst
from ops.doctor.context import Context
from ops.doctor.expected import EVENTS_QUEUE, dead_letters
from ops.environment import if_exists

EVENTS: Final = "events.amazonaws.com"
ALARMS: Final = "cloudwatch.amazonaws.com"
ACCOUNT: Final = "aws:sourceaccount"
OTHERS_RULE: Final = "somebody-elses"


def invocations(context: Context) -> Finding:
    """Check whether each function lets its rule invoke it, and nobody else."""
    invoked = [rule for rule in context.rules() if rule.invokes]
    problems = []
    for rule in invoked:
        name = rule.target_arn.rpartition(":")[2]
        answer = if_exists(context.client("lambda").get_policy, FunctionName=name)
        document = None if answer is None else json.loads(answer["Policy"])
        delivery = deliveries.Delivery(
            EVENTS, "lambda:InvokeFunction", rule.target_arn, {deliveries.SOURCE: rule.arn}
        )
        wrong = deliveries.wrong(name, document, delivery, _other_rule(context))
        problems += [_problem(context, text) for text in wrong]
    return worst(problems, f"{plural(len(invoked), 'function')}: each by its rule alone")


def queue_policies(context: Context) -> Finding:
    """Check whether each queue takes events of its rules over TLS, and of nobody else."""
    names = (EVENTS_QUEUE, *dead_letters(context.environment.settings))
    senders: dict[str, list[str]] = {name: [] for name in names}
    place = context.place
    for rule in context.rules():
        senders[rule.dead_letter].append(rule.arn)
        if rule.group:
            senders[EVENTS_QUEUE].append(rule.arn)
    if queues.BUS_QUEUE in senders:
        senders[queues.BUS_QUEUE].append(place.arn("events", f"event-bus/{place.bus}"))
    problems = [
        _problem(context, text)
        for name, arns in senders.items()
        for text in _wrong_queue(context, place.name(name), arns)
    ]
    return worst(problems, f"{plural(len(senders), 'queue')}: each takes events of its rules alone")


def topic_policy(context: Context) -> Finding:
    """Check whether alarms of this environment may publish to the topic, and nobody else."""
    place = context.place
    arn = place.arn("sns", place.name("alerts"))
    answer = if_exists(context.client("sns").get_topic_attributes, TopicArn=arn)
    if answer is None:
        return failed(f"{place.name('alerts')} does not exist: no alarm reaches anybody", context.deploy)
    alarm = place.arn("cloudwatch", f"alarm:{PROJECT}-x-{place.environment}")
    allowed = {deliveries.SOURCE: alarm, ACCOUNT: place.account_id}
    other = {deliveries.SOURCE: place.arn("cloudwatch", f"alarm:{OTHERS_RULE}"), ACCOUNT: place.account_id}
    delivery = deliveries.Delivery(ALARMS, "sns:Publish", arn, allowed)
    wrong = deliveries.wrong("the topic", json.loads(answer["Attributes"]["Policy"]), delivery, other)
    return worst((_problem(context, text) for text in wrong), "takes this environment's alarms alone")


def key_policy(context: Context) -> Finding:
    """Check whether bus, queue and logs may use the key, and no stranger."""
    if not context.environment.settings.create_kms_key:
        return passed("no key of ours: create_kms_key = false")
    place, client = context.place, context.client("kms")
    alias = f"alias/{place.name('events')}"
    found = if_exists(client.describe_key, KeyId=alias)
    if found is None:
        return failed(f"{alias} does not exist: nothing can be encrypted or read", context.deploy)
    metadata = found["KeyMetadata"]
    state, id_ = metadata["KeyState"], metadata["KeyId"]
    if state != "Enabled":
        enable = f"aws kms enable-key --key-id {id_} --region {place.region}"
        cancel = f"aws kms cancel-key-deletion --key-id {id_} --region {place.region}"
        step = {"Disabled": enable, "PendingDeletion": f"{cancel} && {enable}"}.get(state, "")
        return failed(f"{state}: nothing can be encrypted or read", step)
    policy = json.loads(client.get_key_policy(KeyId=id_, PolicyName="default")["Policy"])
    prefix, arn = "kms:encryptioncontext:aws:", metadata["Arn"]
    uses = {
        "the bus": (EVENTS, "events:event-bus:arn", place.arn("events", f"event-bus/{place.bus}")),
        "the events queue": (EVENTS, "sqs:arn", place.arn("sqs", place.name(EVENTS_QUEUE))),
        "the logs": (
            f"logs.{place.region}.amazonaws.com",
            "logs:arn",
            place.arn("logs", f"log-group:/aws/lambda/{place.name('payments')}"),
        ),
    }
    problems = []
    for name, (service, suffix, value) in uses.items():
        delivery = deliveries.Delivery(service, "kms:GenerateDataKey", arn, {f"{prefix}{suffix}": value})
        problems += [
            _problem(context, text) for text in deliveries.wrong(name, policy, delivery, {}, of_key=True)
        ]
    return worst(problems, "enabled; bus, queue and logs may use it")


def _wrong_queue(context: Context, name: str, senders: list[str]) -> Iterator[str]:
    client = context.client("sqs")
    answer = if_exists(client.get_queue_url, QueueName=name)
    if answer is None:
        yield f"{name} does not exist"
        return
    wanted = ["QueueArn", "Policy", "RedriveAllowPolicy"]
    attributes = client.get_queue_attributes(QueueUrl=answer["QueueUrl"], AttributeNames=wanted)["Attributes"]
    policy, arn = json.loads(attributes.get("Policy", "{}")), attributes["QueueArn"]
    for sender in senders:
        delivery = deliveries.Delivery(EVENTS, "sqs:SendMessage", arn, {deliveries.SOURCE: sender})
        yield from deliveries.wrong(name, policy, delivery, _other_rule(context), plain_text=True)
    if name == context.place.name(f"audit-dlq{queues.FIFO}"):
        allowed = json.loads(attributes.get("RedriveAllowPolicy", "{}")).get("sourceQueueArns", [])
        if context.place.audit_queue not in allowed:
            yield f"{name} does not take what the audit queue gives up"


def _other_rule(context: Context) -> Mapping[str, str]:
    return {deliveries.SOURCE: context.place.arn("events", f"rule/{context.place.bus}/{OTHERS_RULE}")}


def _problem(context: Context, text: str) -> Finding:
    return failed(text, context.deploy)
