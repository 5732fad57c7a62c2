"""An archive that is made with Cloud Control is an archive of EventBridge.

Source: CloudFormation resource reference, AWS::Events::Archive: identified by ArchiveName; the bus is
`SourceArn`; `Arn` is read-only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import cloudcontrol, eventbridge

from ops.local.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[Data], Answer]

ARCHIVE = "AWS::Events::Archive"
# Cloud Control's name of a property, and EventBridge's.
PROPERTIES = {
    "SourceArn": "EventSourceArn",
    "Description": "Description",
    "EventPattern": "EventPattern",
    "RetentionDays": "RetentionDays",
    "KmsKeyIdentifier": "KmsKeyIdentifier",
}


def apply() -> None:
    """Carry what Cloud Control stores of an archive over to EventBridge."""
    replace(cloudcontrol, "_extract_identifier", _identifying(original(cloudcontrol, "_extract_identifier")))
    replace(cloudcontrol, "_create_resource", _creating(original(cloudcontrol, "_create_resource")))
    replace(cloudcontrol, "_update_resource", _updating(original(cloudcontrol, "_update_resource")))
    replace(cloudcontrol, "_delete_resource", _deleting(original(cloudcontrol, "_delete_resource")))
    for name in ("_create_archive", "_update_archive", "_delete_archive"):
        original(eventbridge, name)


def _identifying(identify: Callable[[Data], str]) -> Callable[[Data], str]:
    return lambda properties: str(properties.get("ArchiveName") or identify(properties))


def _creating(create: Operation) -> Operation:
    def create_resource(data: Data) -> Answer:
        if data.get("TypeName") != ARCHIVE:
            return create(data)
        properties = json.loads(data["DesiredState"])
        refused = _refused(eventbridge._create_archive(_archive(properties)))
        if refused is not None:
            return refused
        name = properties["ArchiveName"]
        properties["Arn"] = eventbridge._archives[name]["ArchiveArn"]
        return create(data | {"DesiredState": json.dumps(properties)})

    return create_resource


def _updating(update: Operation) -> Operation:
    def update_resource(data: Data) -> Answer:
        answer = update(data)
        if data.get("TypeName") == ARCHIVE and answer[0] == 200:
            properties = json.loads(json.loads(answer[2])["ProgressEvent"]["ResourceModel"])
            return _refused(eventbridge._update_archive(_archive(properties))) or answer
        return answer

    return update_resource


def _deleting(delete: Operation) -> Operation:
    def delete_resource(data: Data) -> Answer:
        if data.get("TypeName") == ARCHIVE:
            eventbridge._delete_archive({"ArchiveName": data.get("Identifier")})
        return delete(data)

    return delete_resource


def _archive(properties: Data) -> Data:
    archive = {"ArchiveName": properties["ArchiveName"]}
    for theirs, ours in PROPERTIES.items():
        value = properties.get(theirs)
        if value is not None:
            archive[ours] = json.dumps(value) if isinstance(value, dict) else value
    return archive


def _refused(answer: Answer) -> Answer | None:
    return None if answer[0] == 200 else answer
