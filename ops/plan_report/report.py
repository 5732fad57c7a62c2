"""The Markdown of a plan, always short enough for one GitHub comment."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

from infra import contents
from ops.cost.prices import prices
from ops.plan_report import bundles, costs, drift, long_values, routes
from ops.plan_report.attributes import Attribute, path_name
from ops.plan_report.changes import Change, ChangeKind, Changes, changes_of
from ops.plan_report.findings import Level
from ops.plan_report.plan import Plan
from ops.plan_report.sentences import dangers, reviews, verdict_line
from ops.plan_report.text import code, size, values
from ops.plan_report.verdict import Acceptance, Verdict, assess

# GitHub refuses a longer comment. We count bytes of UTF-8, which are never fewer than characters.
# GitHub's limit is 65,536 characters, and the workflow writes a few lines of its own above the report.
MAXIMUM: Final = 65_000
UNLIMITED: Final = 10**9
# The closing lines are shorter than this.
RESERVED: Final = 2_000
# What the dangers may take; more are written shorter.
DANGER_ROOM: Final = 40_000
# More would crowd out other resources.
FORCING_SHOWN: Final = 5
ATTRIBUTES_SHOWN: Final = 40
# Rows of the routing table, and resources that drifted, that are listed; and parts of the code.
ROWS_SHOWN: Final = 40
PARTS_SHOWN: Final = 30
# Outputs that have sections of their own.
DESCRIBED: Final = frozenset({contents.CODE, contents.ROUTING})
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
# What unfolds: a reader of a safe plan needs no details.
FOLDED: Final = frozenset({ChangeKind.CREATE})
FOLDED_IF_SAFE: Final = frozenset({ChangeKind.CREATE, ChangeKind.UPDATE})
LOSES: Final = frozenset({ChangeKind.DESTROY, ChangeKind.REPLACE})


def marker(environment: str) -> str:
    """Return the hidden line that identifies the environment's comment."""
    return f"<!-- huntaze-plan:{environment} -->"


def verdict_marker(verdict: Verdict) -> str:
    """Return the hidden line with the verdict, for a program."""
    return f"<!-- huntaze-verdict:{verdict.level.word} -->"


def render(
    plan: dict[str, Any],
    environment: str,
    *,
    refreshed: bool = True,
    accepted: Sequence[Acceptance] = (),
    link: str = "",
    whole: bool = False,
) -> str:
    """Return the plan as Markdown of at most `MAXIMUM` bytes.

    Parameters
    ----------
    plan
        What `terraform show -json PLAN` prints. No value that it marks as sensitive is written.
    environment
        The environment, or `bootstrap`.
    refreshed
        Whether AWS was read; if not, the report says so.
    accepted
        The dangers that the pull request accepts.
    link
        Address of the whole report, for what is left out here.
    whole
        Whether to leave nothing out, however long it is.
    """
    changes = changes_of(plan)
    listed = [change for change in changes.outputs if change.address not in DESCRIBED]
    verdict = assess(plan, accepted)
    maximum = UNLIMITED if whole else MAXIMUM
    digest = hashlib.sha256(repr(changes).encode(errors="backslashreplace")).hexdigest()
    lines = _head(plan, environment, verdict, _summary(plan, changes), refreshed=refreshed)
    lines += dangers(verdict, DANGER_ROOM if not whole else UNLIMITED)
    room = maximum - RESERVED - size(lines)
    for section in (reviews(verdict, room), *_sections_of_domain(plan)):
        if size(section) <= room:
            lines += section
            room -= size(section)
    folds = FOLDED_IF_SAFE if verdict.level is Level.SAFE else FOLDED
    lines += _fitting(changes.resources, listed, room, link, folds)
    return "\n".join([*lines, "", f"*Digest of all changes: {code(digest[:DIGEST_SHOWN])}*"]) + "\n"


def summary_line(plan: dict[str, Any]) -> str:
    """Return the plan's counts in one sentence, the losses first."""
    return _summary(plan, changes_of(plan))


def _summary(plan: dict[str, Any], changes: Changes) -> str:
    counts = Counter(change.kind for change in changes.resources)
    outputs = len(changes.outputs)
    parts = [f"{counts[kind]} to {INFINITIVES.get(kind, kind.value)}" for kind in ChangeKind if counts[kind]]
    parts += [f"{outputs} {'output' if outputs == 1 else 'outputs'} to change"] if outputs else []
    sentence = ", ".join(parts) or "nothing to change"
    return f"{'The plan failed; so far: ' if plan.get('errored') else ''}{sentence}."


def outline(plan: dict[str, Any]) -> list[str]:
    """Return the plan as lines of plain text: its counts, then what happens to which resource."""
    changes = changes_of(plan)
    lines = [_summary(plan, changes)]
    for change in changes.resources:
        changed = dict.fromkeys(attribute.name.partition("[")[0] for attribute in change.attributes)
        updated = list(changed) if change.kind is ChangeKind.UPDATE else []
        names = ", ".join(updated[:NAMES_SHOWN]) + (" …" if len(updated) > NAMES_SHOWN else "")
        forced = ", ".join(map(path_name, change.forced_by[:FORCING_SHOWN]))
        because = "; ".join(filter(None, (forced and f"forced by {forced}", change.reason, names)))
        lines.append(f"  {change.kind.value:<8} {change.address}{f'  ({because})' if because else ''}")
    return lines


def _head(
    plan: dict[str, Any], environment: str, verdict: Verdict, summary: str, *, refreshed: bool
) -> list[str]:
    head = [
        marker(environment),
        verdict_marker(verdict),
        *([drift.MARKER] if drift.drifted(plan) else []),
        f"## Terraform plan: {code(environment)}",
        "",
        verdict_line(verdict),
        "",
        f"**{summary}**",
        "",
    ]
    if not refreshed:
        head += [STATE_ONLY, ""]
    if plan.get("errored"):
        head += ["> The plan failed half-way: it may be incomplete.", ""]
    if plan.get("deferred_changes"):
        head += [f"> {len(plan['deferred_changes'])} changes are deferred until after this apply.", ""]
    return head


def _sections_of_domain(document: dict[str, Any]) -> list[list[str]]:
    """Return the sections that know what the stack is for: drift, routing, code and cost."""
    plan = Plan(document)
    sections = [list(drift.section(document, ROWS_SHOWN))]
    rows = routes.changes(plan)
    if rows:
        left = f"*{routes.count(plan)} event types reach a function after it.*"
        sections.append(["### Routing", "", *routes.table(rows, ROWS_SHOWN), "", left, ""])
    parts = list(bundles.section(plan, PARTS_SHOWN))
    if parts:
        sections.append(["### Code", "", *parts, ""])
    cost, million = costs.difference(plan), costs.difference_of_a_million(plan)
    changes = [f"{cost:+.2f} US dollars a month before the first event"] if cost else []
    changes += [f"{million:+.2f} US dollars for a million events"] if million else []
    if changes:
        what = ", ".join(changes)
        date = prices().date
        sections.append(["### Cost", "", f"{what}, at the prices of {date} in `ops/prices.toml`.", ""])
    return sections


def _fitting(
    resources: Sequence[Change],
    outputs: Sequence[Change],
    room: int,
    link: str,
    folds: Collection[ChangeKind],
) -> list[str]:
    """Return the list of changes, without the last details if the list would be too long.

    Every change first gets one line while there is room; the details get the rest, in the same order.
    """
    entries = [*resources, *outputs]
    shown = 0
    lines = [_line(change) for change in entries]
    while shown < len(entries) and size([lines[shown]]) <= room:
        room -= size([lines[shown]])
        shown += 1
    details: list[list[str]] = []
    without = sum(bool(change.attributes) for change in entries[shown:])
    for change in entries[:shown]:
        wanted = _details(change)
        fits = size(wanted) <= room
        details.append(wanted if fits else [])
        room -= size(details[-1])
        without += not fits
    texts = [[line, *detail] for line, detail in zip(lines[:shown], details, strict=True)]
    result = _sections(resources, texts, folds) + _outputs(texts[len(resources) :])
    where = f"[the whole report]({link}) has them" if link else "the whole report has them"
    if shown < len(entries):
        left_out = f"{len(entries) - shown} more changes are left out here: the comment would be too long"
        result += ["", f"*{left_out}; {where}.*"]
    if without:
        result += ["", f"*The details of {without} changes are left out: {where}.*"]
    return result


def _sections(
    resources: Sequence[Change], texts: Sequence[list[str]], folded: Collection[ChangeKind]
) -> list[str]:
    result: list[str] = []
    for kind in ChangeKind:
        section = [text for change, text in zip(resources, texts, strict=False) if change.kind is kind]
        if section:
            folds = kind in folded
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
    shown = change.attributes[:ATTRIBUTES_SHOWN]
    lines = [line for attribute in shown for line in _attribute(attribute, change)]
    more = len(change.attributes) - ATTRIBUTES_SHOWN
    return lines + ([f"  - *{more} more attributes*"] if more > 0 else [])


def _attribute(attribute: Attribute, change: Change) -> list[str]:
    name = f"{code(attribute.name)}: " if attribute.name else ""
    forces = " **forces replacement**" if attribute.is_below(change.forced_by) else ""
    before, after = attribute.before, attribute.after
    is_new = change.kind is ChangeKind.CREATE
    if long_values.is_long(before, after) and not is_new:
        line = f"  - {name}{long_values.summary(before, after)}{forces}"
        return [line, *long_values.folded(before, after, "    ")]
    old, new = values(before, after)
    return [f"  - {name}{'' if is_new else f'{old} → '}{new}{forces}"]
