"""The Markdown of a plan, always short enough for one GitHub comment."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from ops.plan_report.attributes import Attribute, path_name
from ops.plan_report.changes import Change, ChangeKind, output_changes, resource_changes
from ops.plan_report.text import code, values

# GitHub refuses a longer comment. We count bytes of UTF-8, which are never fewer than characters.
# GitHub's limit is 65,536 characters, and the workflow writes a few lines of its own above the report.
MAXIMUM: Final = 65_000
# The heading, the counts and the closing lines are shorter than this.
RESERVED: Final = 2_000
# More would crowd out other resources.
FORCING_SHOWN: Final = 5
ATTRIBUTES_SHOWN: Final = 40
# Changed attributes that a line for a terminal names.
NAMES_SHOWN: Final = 5
# The digest covers what is cut too, so that an approved plan is compared whole.
DIGEST_SHOWN: Final = 16
PARTICIPLES: Final = {
    ChangeKind.DESTROY: "destroyed",
    ChangeKind.REPLACE: "replaced",
    ChangeKind.FORGET: "forgotten",
    ChangeKind.UPDATE: "updated",
    ChangeKind.CREATE: "created",
    ChangeKind.IMPORT: "imported",
    ChangeKind.MOVE: "moved",
    ChangeKind.OTHER: "changed otherwise",
}
STATE_ONLY: Final = "> Compared with the state only: changes made in AWS by other means are not shown."
INFINITIVES: Final = {ChangeKind.OTHER: "change otherwise"}
LOSES: Final = frozenset({ChangeKind.DESTROY, ChangeKind.REPLACE})


def marker(environment: str) -> str:
    """Return the hidden line that identifies the environment's comment."""
    return f"<!-- huntaze-plan:{environment} -->"


def render(plan: dict[str, Any], environment: str, *, refreshed: bool = True) -> str:
    """Return the plan as Markdown of at most `MAXIMUM` bytes.

    Parameters
    ----------
    plan
        What `terraform show -json PLAN` prints. No value that it marks as sensitive is written.
    environment
        The environment, or `bootstrap`.
    refreshed
        Whether AWS was read; if not, the report says so.
    """
    resources = resource_changes(plan)
    outputs = output_changes(plan)
    head = [
        marker(environment),
        f"## Terraform plan: {code(environment)}",
        "",
        f"**{summary_line(plan)}**",
        "",
    ]
    if not refreshed:
        head += [STATE_ONLY, ""]
    if plan.get("errored"):
        head += ["> The plan failed half-way: it may be incomplete.", ""]
    if plan.get("deferred_changes"):
        head += [f"> {len(plan['deferred_changes'])} changes are deferred until after this apply.", ""]
    digest = hashlib.sha256(repr((resources, outputs)).encode(errors="backslashreplace")).hexdigest()
    closing = ["", f"*Digest of all changes: {code(digest[:DIGEST_SHOWN])}*"]
    return "\n".join([*head, *_fitting(resources, outputs), *closing]) + "\n"


def summary_line(plan: dict[str, Any]) -> str:
    """Return the plan's counts in one sentence, the losses first."""
    counts = Counter(change.kind for change in resource_changes(plan))
    outputs = len(output_changes(plan))
    parts = [f"{counts[kind]} to {INFINITIVES.get(kind, kind.value)}" for kind in ChangeKind if counts[kind]]
    parts += [f"{outputs} {'output' if outputs == 1 else 'outputs'} to change"] if outputs else []
    sentence = ", ".join(parts) or "nothing to change"
    return f"{'The plan failed; so far: ' if plan.get('errored') else ''}{sentence}."


def outline(plan: dict[str, Any]) -> list[str]:
    """Return the plan as lines of plain text: its counts, then what happens to which resource."""
    lines = [summary_line(plan)]
    for change in resource_changes(plan):
        changed = dict.fromkeys(attribute.name.partition("[")[0] for attribute in change.attributes)
        updated = list(changed) if change.kind is ChangeKind.UPDATE else []
        names = ", ".join(updated[:NAMES_SHOWN]) + (" …" if len(updated) > NAMES_SHOWN else "")
        forced = ", ".join(map(path_name, change.forced_by[:FORCING_SHOWN]))
        because = "; ".join(filter(None, (forced and f"forced by {forced}", change.reason, names)))
        lines.append(f"  {change.kind.value:<8} {change.address}{f'  ({because})' if because else ''}")
    return lines


def _fitting(resources: Sequence[Change], outputs: Sequence[Change]) -> list[str]:
    """Return the list of changes, without the last details if the list would be too long.

    Every change first gets one line while there is room; the details get the rest, in the same order.
    """
    entries = [*resources, *outputs]
    room = MAXIMUM - RESERVED
    shown = 0
    lines = [_line(change) for change in entries]
    while shown < len(entries) and _bytes([lines[shown]]) <= room:
        room -= _bytes([lines[shown]])
        shown += 1
    details: list[list[str]] = []
    without = sum(bool(change.attributes) for change in entries[shown:])
    for change in entries[:shown]:
        wanted = _details(change)
        fits = _bytes(wanted) <= room
        details.append(wanted if fits else [])
        room -= _bytes(details[-1])
        without += not fits
    texts = [[line, *detail] for line, detail in zip(lines[:shown], details, strict=True)]
    result = _sections(resources, texts) + _outputs(texts[len(resources) :])
    if shown < len(entries):
        result += [
            "",
            f"*{len(entries) - shown} more changes are left out here: the comment would be too long.*",
        ]
    if without:
        left_out = f"The details of {without} changes are left out"
        result += ["", f"*{left_out}: `terraform show` of the saved plan prints them.*"]
    return result


def _sections(resources: Sequence[Change], texts: Sequence[list[str]]) -> list[str]:
    result: list[str] = []
    for kind in ChangeKind:
        section = [text for change, text in zip(resources, texts, strict=False) if change.kind is kind]
        if section:
            folds = kind is ChangeKind.CREATE
            result += [f"### {PARTICIPLES[kind].capitalize()}", ""]
            result += ["<details><summary>show</summary>", ""] if folds else []
            result += [line for text in section for line in text]
            result += ["", "</details>", ""] if folds else [""]
    return result


def _outputs(texts: Sequence[list[str]]) -> list[str]:
    return ["### Outputs", "", *(line for text in texts for line in text)] if texts else []


def _line(change: Change) -> str:
    forcing = [code(path_name(path)) for path in change.forced_by[:FORCING_SHOWN]]
    because = [f"forced by {', '.join(forcing)}"] if forcing else []
    because += [change.reason] if change.reason else []
    because += [f"moved from {code(change.previous)}"] if change.previous else []
    strong = f"**{change.kind.value}** " if change.kind in LOSES else ""
    return f"- {strong}{code(change.address)}{': ' if because else ''}{'; '.join(because)}"


def _details(change: Change) -> list[str]:
    lines = [_attribute(attribute, change) for attribute in change.attributes[:ATTRIBUTES_SHOWN]]
    more = len(change.attributes) - ATTRIBUTES_SHOWN
    return lines + ([f"  - *{more} more attributes*"] if more > 0 else [])


def _attribute(attribute: Attribute, change: Change) -> str:
    before, after = values(attribute.before, attribute.after)
    name = f"{code(attribute.name)}: " if attribute.name else ""
    forces = " **forces replacement**" if attribute.is_below(change.forced_by) else ""
    return f"  - {name}{'' if change.kind is ChangeKind.CREATE else f'{before} → '}{after}{forces}"


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
