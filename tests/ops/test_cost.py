"""`cost`: what an environment costs by its real settings, and which limit a peak meets first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops import ROOT
from ops.cost import measured
from ops.cost.limits import INVOCATIONS
from ops.dev import docs
from tests.ops.command import Done, run

MILLION = 1_000_000
Command = Callable[..., Done]
Reckon = Callable[..., dict[str, Any]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: run(["cost", *arguments], monkeypatch, capsys)


@pytest.fixture
def reckoned(command: Command) -> Reckon:
    """The JSON of a month of prod."""

    def reckon(*arguments: str, events: int = MILLION) -> dict[str, Any]:
        done = command("--env", "prod", "--events-per-month", str(events), "--json", *arguments)
        assert (done.code, done.err) == (0, "")
        document: dict[str, Any] = json.loads(done.out)
        return document

    return reckon


def dollars(document: dict[str, Any], service: str, what: str) -> float:
    (line,) = [each for each in document["costs"] if (each["service"], each["what"]) == (service, what)]
    usd: float = line["usd"]
    return usd


def met_at(document: dict[str, Any], limit: str) -> float:
    (found,) = [each["events_per_second"] for each in document["limits"] if each["limit"] == limit]
    return float(found)


def test_the_page_shows_what_the_command_says(reckoned: Reckon) -> None:
    assert docs.COSTS not in docs.stale(), f"{docs.COSTS} is stale: run `make docs`"
    document = reckoned()
    page = (ROOT / docs.COSTS).read_text(encoding="utf-8")
    assert f"| **together** | | | **{document['usd']:.2f}** |" in page
    for line in document["costs"]:
        assert f"| {line['service']} | {line['what']} | {line['how']} | {line['usd']:.2f} |" in page


def test_costs_grow_with_the_events_but_for_the_fixed_ones(reckoned: Reckon) -> None:
    none, one, two = (reckoned(events=number) for number in (0, MILLION, 2 * MILLION))
    assert none["usd"] == round(sum(each["usd"] for each in one["costs"] if each["fixed"]), 2)
    for before, after in zip(one["costs"], two["costs"], strict=True):
        assert before["what"] == after["what"]
        factor = 1 if before["fixed"] or before["what"] == "custom metrics" else 2
        assert after["usd"] == pytest.approx(factor * before["usd"], abs=0.001), before["what"]


def test_settings_of_the_environment_move_the_costs(
    reckoned: Reckon, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reckoned()
    monkeypatch.setenv("PAYMENTS_MEMORY_MB", "1024")
    monkeypatch.setenv("LOG_RETENTION_DAYS", "30")
    monkeypatch.setenv("CREATE_KMS_KEY", "true")
    after = reckoned()
    requests = 0.2 * 0.51
    work = dollars(before, "Lambda", "payments") - requests
    assert dollars(after, "Lambda", "payments") == pytest.approx(2 * work + requests, abs=0.001)
    assert dollars(after, "CloudWatch", "logs, storage") < dollars(before, "CloudWatch", "logs, storage") / 2
    assert dollars(after, "KMS", "key") == 1


def test_first_limit_is_named_with_what_moves_it(
    command: Command, reckoned: Reckon, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert met_at(reckoned(), "EventBridge") == INVOCATIONS["eu-west-1"] / 2
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("PAYMENTS_RESERVED_CONCURRENCY", "5")
    document = reckoned("--peak-per-second", "300", "--set", "api_ms=400")
    assert met_at(document, "EventBridge") == INVOCATIONS["eu-central-1"] / 2
    first = document["limits"][0]
    assert (first["limit"], first["moved_by"], first["exceeded"]) == (
        "Lambda payments",
        "payments.reserved_concurrency",
        True,
    )
    seconds = (measured.read().functions["payments"].median_ms - measured.read().api_ms + 400) / 1000
    assert first["events_per_second"] == pytest.approx(5 / seconds / 0.51, rel=0.01)
    said = command("--env", "prod", "--events-per-month", "1", "--peak-per-second", "300").out
    assert "300 events a second are more than Lambda payments" in said


def test_limit_of_the_api_is_unknown_until_somebody_says_it(reckoned: Reckon) -> None:
    (unknown,) = [each for each in reckoned()["limits"] if each["limit"] == "Huntaze API"]
    assert (unknown["events_per_second"], unknown["exceeded"]) == (None, None)
    assert "ask its owners" in unknown["how"]
    document = reckoned("--set", "api_per_second=50", "--peak-per-second", "60")
    assert document["limits"][0]["limit"] == "Huntaze API"


def test_each_assumption_has_a_source_and_can_be_replaced(reckoned: Reckon) -> None:
    before = {each["name"]: each for each in reckoned()["assumptions"]}
    assert all(each["source"] and each["meaning"] for each in before.values())
    for name in before:
        (after,) = [each for each in reckoned("--set", f"{name}=1")["assumptions"] if each["name"] == name]
        assert (after["value"], after["source"]) == (1, "--set")


def test_tables_fit_eighty_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = command("--env", "prod", "--events-per-month", "100000000").out
    tables = [line for line in out.splitlines() if line[:1] in "╭│├╰"]
    assert len(tables) > 40
    assert max(map(len, tables)) <= 80


def test_report_of_a_local_run_is_a_measurement(reckoned: Reckon, tmp_path: Path) -> None:
    slower = json.loads(measured.FILE.read_text())
    slower["functions"]["audit"]["median_ms"] = 1000.0
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"environment": "dev", measured.SECTION: slower}))
    assert met_at(reckoned("--measured", str(report)), "audit lane") == pytest.approx(10 / 0.51, rel=0.01)


def test_an_api_that_answers_at_once_is_reckoned(reckoned: Reckon) -> None:
    assert met_at(reckoned("--set", "api_ms=0", "--set", "payments_ms=1"), "Lambda payments") > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "speed=1"], "invalid --set 'speed=1': expected one of handled_share, "),
        (["--set", "api_ms=fast"], "invalid --set 'api_ms=fast': expected api_ms=NUMBER, 0 or more"),
        (["--set", "api_ms=nan"], "invalid --set 'api_ms=nan': expected api_ms=NUMBER, 0 or more"),
        *(
            (
                ["--set", f"{name}={value}"],
                f"invalid --set '{name}={value}': expected {name}=NUMBER, 1 or more",
            )
            for name in ("audit_ms", "payments_ms", "billing_ms")
            for value in ("0", "1e-320", "inf", "-1")
        ),
        (["--set", "payments_ms=0", "--set", "api_ms=0"], "invalid --set 'payments_ms=0'"),
        (["--peak-per-second", "nan"], "invalid --peak-per-second nan: expected more than 0, and finite"),
        (["--peak-per-second", "inf"], "invalid --peak-per-second inf: expected more than 0, and finite"),
        (["--set", "handled_share=2"], "expected handled_share=NUMBER, 0 to 1"),
        (["--peak-per-second", "0"], "invalid --peak-per-second 0: expected more than 0"),
        (["--measured", "nowhere.json"], "can't read nowhere.json (No such file or directory)"),
        (["--measured", "README.md"], "invalid --measured README.md: the file: not JSON"),
        (["--measured", "ops/local/expected_bodies.json"], "invalid --measured"),
        (["--events-per-month", "-1"], "invalid --events-per-month -1: expected 0 or more"),
        (["--env", "nowhere"], "nowhere"),
    ],
)
def test_wrong_usage_is_one_line(command: Command, arguments: list[str], message: str) -> None:
    done = command("--events-per-month", "1", *arguments)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
