"""Changes of a synthesised stack that no setting makes: what a careless pull request would do to the code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

Document = dict[str, Any]
Edit = Callable[[Document], None]
DENY_PLAIN_TEXT: Final = "DenyPlainText"


def nothing(_document: Document) -> None:
    """Change nothing more than the settings do."""


def together(*edits: Edit) -> Edit:
    """Return one edit of several."""

    def edit(document: Document) -> None:
        for each in edits:
            each(document)

    return edit


def resource(document: Document, address: str) -> dict[str, Any]:
    """The arguments of one resource."""
    type_, _, name = address.partition(".")
    found: dict[str, Any] = document["resource"][type_][name]
    return found


def put(address: str, **arguments: Any) -> Edit:
    """Set arguments of a resource; those that are None are removed."""

    def edit(document: Document) -> None:
        found = resource(document, address)
        found.update(arguments)
        for name in [name for name, value in arguments.items() if value is None]:
            del found[name]

    return edit


def put_in(address: str, argument: str, **values: Any) -> Edit:
    """Set values in an argument that is JSON, or a block."""

    def edit(document: Document) -> None:
        found = resource(document, address)
        was = found[argument]
        new = {**(json.loads(was) if isinstance(was, str) else was), **values}
        new = {name: value for name, value in new.items() if value is not None}
        found[argument] = (
            json.dumps(new, separators=(",", ":"), sort_keys=True) if isinstance(was, str) else new
        )

    return edit


def remove(*addresses: str) -> Edit:
    """Remove resources, and what refers to them from lists."""

    def edit(document: Document) -> None:
        for address in addresses:
            type_, _, name = address.partition(".")
            del document["resource"][type_][name]
            if not document["resource"][type_]:
                del document["resource"][type_]
        resources = [each for group in document["resource"].values() for each in group.values()]
        for found in [*resources, *document["output"].values()]:
            if "depends_on" in found:
                found["depends_on"] = [each for each in found["depends_on"] if each not in addresses]

    return edit


def add(address: str, **arguments: Any) -> Edit:
    """Add a resource."""

    def edit(document: Document) -> None:
        type_, _, name = address.partition(".")
        document["resource"].setdefault(type_, {})[name] = arguments

    return edit


@contextmanager
def _json(found: dict[str, Any], argument: str) -> Iterator[Any]:
    value = json.loads(found[argument])
    yield value
    found[argument] = json.dumps(value, separators=(",", ":"), sort_keys=True)


def statements(
    address: str, change: Callable[[list[dict[str, Any]]], None], argument: str = "policy"
) -> Edit:
    """Change the statements of a policy."""

    def edit(document: Document) -> None:
        with _json(resource(document, address), argument) as policy:
            change(policy["Statement"])

    return edit


def statement(address: str, **changed: Any) -> Edit:
    """Change keys of the first statement that is not about TLS."""

    def change(found: list[dict[str, Any]]) -> None:
        next(each for each in found if each["Sid"] != DENY_PLAIN_TEXT).update(changed)

    return statements(address, change)


def without(address: str, sid: str) -> Edit:
    """Remove a statement."""

    def change(found: list[dict[str, Any]]) -> None:
        found[:] = [each for each in found if each["Sid"] != sid]

    return statements(address, change)


def reorder(address: str) -> Edit:
    """Write the same policy in another way: other order, other Sids, single values without a list."""

    def change(found: list[dict[str, Any]]) -> None:
        found.reverse()
        for number, each in enumerate(found):
            each["Sid"] = f"S{number}"
            for key in ("Action", "Resource"):
                if len(each[key]) == 1:
                    each[key] = each[key][0]

    return statements(address, change)


def route(event_type: str, handler: str = "", path: str = "/api/billing/new", repeat: str = "once") -> Edit:
    """Route a type to a handler, or to none: in the patterns of all rules, and in the output."""

    def edit(document: Document) -> None:
        for group in ("payments", "billing"):
            for rule in (group, f"audit_{group}"):
                with _json(
                    resource(document, f"aws_cloudwatch_event_rule.{rule}_rule"), "event_pattern"
                ) as pattern:
                    types = [each for each in pattern["detail-type"] if each != event_type]
                    pattern["detail-type"] = types + ([event_type] if group == handler else [])
        with _json(
            resource(document, "aws_cloudwatch_event_rule.audit_other_rule"), "event_pattern"
        ) as pattern:
            known = [each for each in pattern["detail-type"][0]["anything-but"] if each != event_type]
            pattern["detail-type"] = [{"anything-but": known + ([event_type] if handler else [])}]
        routing = document["output"]["routing"]["value"]
        was = routing.pop(event_type, {"path": path, "repeat": repeat})
        if handler:
            routing[event_type] = {**was, "handler": handler}

    return edit


def types(rule: str, change: Callable[[list[Any]], list[Any]]) -> Edit:
    """Change the event types in the pattern of a rule."""

    def edit(document: Document) -> None:
        with _json(resource(document, f"aws_cloudwatch_event_rule.{rule}_rule"), "event_pattern") as pattern:
            pattern["detail-type"] = change(pattern["detail-type"])

    return edit


def deaf(document: Document) -> None:
    """Leave an alarm out of those that the composite alarm listens to."""
    alarm = resource(document, "aws_cloudwatch_composite_alarm.alarm_unhealthy")
    first, *others = alarm["alarm_rule"].split(" OR ")
    assert others, first
    alarm["alarm_rule"] = " OR ".join(others)


def recode(bundle: str, digest: str, **parts: str | None) -> Edit:
    """Change the code of a bundle: its digest, and the version or digest of parts of it."""

    def edit(document: Document) -> None:
        for name, function in document["resource"]["aws_lambda_function"].items():
            if (name == "audit_function") == (bundle == "audit"):
                function["source_code_hash"] = digest
        code = document["output"]["code"]["value"]
        for part, version in parts.items():
            code.pop(part, None)
            if version is not None:
                code[part] = version

    return edit


def fewer_receives(document: Document) -> None:
    """Let a message of the audit queue fail once only."""
    with _json(resource(document, "aws_cloudcontrolapi_resource.events_queue"), "desired_state") as queue:
        queue["RedrivePolicy"]["maxReceiveCount"] = 1


def unprotected(document: Document) -> None:
    """Allow Terraform to plan what `prevent_destroy` refuses."""
    for group in document["resource"].values():
        for found in group.values():
            found.pop("lifecycle", None)


def widget(document: Document) -> None:
    """Change the title of one widget of the dashboard."""
    with _json(resource(document, "aws_cloudwatch_dashboard.dashboard"), "dashboard_body") as body:
        body["widgets"][1]["properties"]["title"] = "another title"
