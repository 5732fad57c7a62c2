"""Numbers and commands in the documents are those of the stacks, the code and the command line."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from functions.dead_letters import circuit_breaker
from functions.pipeline import api, apply, claims, ordering
from functions.reconciliation import gap, handler_records, heal, job
from functions.shared import aws, names, retry
from functions.stripe_api import client as stripe_client
from infra import patterns
from infra.constructs import audit, schedule
from infra.resources import function
from infra.settings import Settings
from ops import ROOT
from ops import environment as ops_environment
from ops.dlq import held
from ops.local import envelopes
from ops.local.observations import OUTCOMES
from tests.documents import DOCUMENTS, IDS, OUTPUT, commands
from tests.infra.documented import check_name, check_ours
from tests.infra.terraform_json import Stack, metrics_of

ARCHITECTURE = ROOT / "docs" / "architecture.md"
COSTS = ROOT / "docs" / "costs.md"
OURS = ("huntaze-stripe", ".venv/bin/huntaze-stripe")
# What tries again, by the file and the name that the table of docs/architecture.md gives it.
RETRIES: dict[tuple[str, str], object] = {
    ("functions/shared/retry.py", "ATTEMPTS"): retry.ATTEMPTS,
    ("functions/pipeline/apply.py", "BUSY_ATTEMPTS"): apply.BUSY_ATTEMPTS,
    ("functions/pipeline/claims.py", "ROUNDS"): claims.ROUNDS,
    ("functions/shared/aws.py", "ATTEMPTS"): aws.ATTEMPTS,
    ("functions/stripe_api/client.py", "RETRIEVE_RETRIES"): stripe_client.RETRIEVE_RETRIES,
    ("functions/stripe_api/client.py", "PAGE_RETRIES"): stripe_client.PAGE_RETRIES,
    ("functions/stripe_api/client.py", "PAGE_ATTEMPTS"): stripe_client.PAGE_ATTEMPTS,
    ("functions/reconciliation/handler_records.py", "READ_ATTEMPTS"): handler_records.READ_ATTEMPTS,
    ("infra/resources/function.py", "_ASYNC_RETRIES"): function._ASYNC_RETRIES,
    ("infra/patterns.py", "RETRIES"): patterns.RETRIES,
    ("infra/constructs/schedule.py", "_START_RETRIES"): schedule._START_RETRIES,
    ("infra/constructs/audit.py", "_OUTAGE_SECONDS"): audit._OUTAGE_SECONDS,
    ("functions/dead_letters/circuit_breaker.py", "FAILURES_IN_A_ROW"): circuit_breaker.FAILURES_IN_A_ROW,
    ("infra/settings/environment.py", "auto_redrive_attempts"): Settings.model_fields[
        "auto_redrive_attempts"
    ].default,
    ("ops/environment.py", "CONFIG"): ops_environment.CONFIG.retries["total_max_attempts"],  # type: ignore[attr-defined]
}


QUIET_SECONDS = ordering.LATE_SECONDS + ordering.SKEW_SECONDS
QUEUE_DAYS = names.QUEUE_RETENTION_SECONDS // (24 * 3600)
# Numbers in prose, each with what it must be.
PHRASES = [
    ("failures.md", f"up to {retry.ATTEMPTS} attempts in the invocation"),
    ("failures.md", f"24 hours ({patterns.RETRIES} attempts)"),
    ("failures.md", f"on an object {QUIET_SECONDS} seconds later"),
    ("failures.md", f"Messages stay in a queue for {QUEUE_DAYS} days"),
    ("events.md", f"wait {QUIET_SECONDS} seconds: {ordering.LATE_SECONDS} in which"),
    ("huntaze-api.md", f"up to {retry.ATTEMPTS} calls in the invocation"),
    ("huntaze-api.md", f"**Answer within {api.READ_SECONDS:.0f} s.**"),
    ("huntaze-api.md", f"rolled back or done within {ordering.LATE_SECONDS} s"),
    ("huntaze-api.md", f"next event waits {QUIET_SECONDS} s"),
    ("huntaze-api.md", f"ends within {api.ANSWER_LIMIT_SECONDS:.0f} s of its head"),
    ("huntaze-api.md", f"at most {api.ANSWER_LIMIT_BYTES // 1024} KiB long"),
    ("operations.md", f"with its reason, for {QUEUE_DAYS} days"),
    ("operations.md", f"at most {held.MOST_HELD:,} messages of a queue"),
    ("replay-and-reconcile.md", f"younger than {gap.GRACE_SECONDS // 60} minutes"),
    ("replay-and-reconcile.md", f"sends {heal.RATE:.0f} events per second"),
    ("replay-and-reconcile.md", f"Up to {job.MAX_MISSING} events are kept"),
]


@pytest.mark.parametrize(("page", "phrase"), PHRASES)
def test_a_number_in_prose_is_that_of_the_code(page: str, phrase: str) -> None:
    assert phrase in " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())


def test_the_table_of_retries_is_what_the_code_does() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `([\w/.]+)` \| (\d+) \|.*\| (yes|no) \|$",
        ARCHITECTURE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert {(file, name): int(value) for name, file, value, _ in rows} == RETRIES
    for name, _file, _value, setting in rows:
        assert (name in Settings.model_fields) == (setting == "yes"), name


def test_no_constant_that_retries_is_missing_from_the_table() -> None:
    """Constants of what is deployed whose name says that they count attempts."""
    found = set()
    for folder in ("functions", "infra"):
        for path in (ROOT / folder).rglob("*.py"):
            names = re.findall(
                r"^(\w*(?:ATTEMPTS|RETRIES|RETRY|ROUNDS))(?:: Final\S*)? = (?!\")",
                path.read_text(encoding="utf-8"),
                flags=re.MULTILINE,
            )
            found |= {(str(path.relative_to(ROOT)), name) for name in names}
    # How late a delivery of an event may enter the ledger: a time, not a number of attempts.
    found.remove(("functions/ledger/reader.py", "DELIVERY_RETRIES"))
    assert found <= set(RETRIES)


def sample() -> str:
    """The output of `make local` that the README shows."""
    [shown] = OUTPUT.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return str(shown)


def test_the_sample_of_make_local_counts_the_shipped_events() -> None:
    sent = Counter(str(each.envelope["detail-type"]) for each in envelopes.default_set())
    # A type that was added later is not in the sample yet.
    ((accounted, total),) = re.findall(r"(\d+) of (\d+) deliveries", sample())
    assert accounted == total
    assert int(total) <= sum(sent.values())
    rows = re.findall(r"^([a-z_]+(?:\.[a-z_]+)+|all) +(\d+)  (\d.*?)  +\d", sample(), flags=re.MULTILINE)
    assert len(rows) >= 3
    for row, number, outcomes in rows:
        counts = {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", outcomes)}
        assert counts.keys() <= set(OUTCOMES)
        assert int(number) == sum(counts.values()) == (int(total) if row == "all" else sent[row]), row


def test_the_sample_of_make_local_counts_the_resources(stack_of: Callable[[str], Stack]) -> None:
    shown = re.findall(
        r"^(?:plan|apply) (\w+) +\S+ s +(\d+) (?:to add|resources)", sample(), flags=re.MULTILINE
    )
    assert len(shown) >= 2
    for name, number in shown:
        assert int(number) == sum(len(found) for found in stack_of(name).document["resource"].values())


def test_the_sample_of_make_local_shows_steps_that_a_run_has() -> None:
    shown = re.findall(r"^(\S.*?) +\d+\.\d s\b", sample(), flags=re.MULTILINE)
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (*(ROOT / "ops" / "local").glob("*.py"), ROOT / "ops" / "deploy.py")
    )
    steps = set(re.findall(r'"([a-z][^"\n]*)"', code))
    assert len(shown) >= 4
    for step in shown:
        assert {step, re.sub(r" (dev|bootstrap)$", " {name}", step)} & steps or re.match(
            r"(init|plan|apply) (dev|bootstrap)$", step
        ), f"no step of a local run is called {step!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_command_of_ours_in_a_document_exists(document: Path) -> None:
    for command in commands(document):
        if command.startswith(OURS):
            check_ours(shlex.split(command)[1:])
    for words in re.findall(r"`huntaze-stripe ([^`]+)`", document.read_text(encoding="utf-8")):
        check_name(words.split())


def costs(row: str) -> dict[str, float]:
    """The numbers of a row of the first table of costs: its price, and one for each environment."""
    table = COSTS.read_text(encoding="utf-8").partition("<!-- before: end -->")[0].splitlines()
    (heading,) = [line for line in table if line.startswith("| | Price")]
    (line,) = [line for line in table if line.startswith(f"| {row}")]
    names, cells = ([cell.strip(" *").lower() for cell in each.split("|")[2:-1]] for each in (heading, line))
    return {name: float(cell or 0) for name, cell in zip(names, cells, strict=True)}


def test_costs_are_reckoned_from_the_alarms_that_there_are(stack: Stack) -> None:
    alarms = stack.of_type("aws_cloudwatch_metric_alarm").values()
    counts = {
        "metrics that alarms watch": sum(len(metrics_of(alarm)) for alarm in alarms),
        "composite alarms": len(stack.of_type("aws_cloudwatch_composite_alarm")),
        "dashboard": costs("dashboard")[stack.environment],
        "secret": costs("secret")[stack.environment],
    }
    together = sum(costs(row)["price"] * number for row, number in counts.items())
    wanted = {**counts, "**together**": round(together, 2)}
    wrong = [
        f"docs/costs.md: row {row!r}, column {stack.environment}: write {number}"
        for row, number in wanted.items()
        if costs(row)[stack.environment] != number
    ]
    assert not wrong, "\n".join(wrong)
