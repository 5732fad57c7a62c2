"""The simulation keeps the deployed rules: against known answers, the shipped code, and a measured outage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.dead_letters.circuit_breaker import PAUSE_SECONDS, PROBES_AT_ONCE
from functions.dead_letters.settings import AutoRedriveSettings
from functions.pipeline.api import ATTEMPT_SECONDS, READ_SECONDS
from functions.shared import retry
from functions.shared.errors import TransientError
from functions.shared.names import BILLING, PAYMENTS, QUEUE_RETENTION_SECONDS
from ops import ROOT
from ops.cost import assumptions, measured, prices, stack
from ops.cost.services import Usage
from ops.dev import scale_page
from ops.errors import OperatorError
from ops.simulation import check, kept, plots, rules
from ops.simulation.invocation import Api, average, play
from ops.simulation.pipeline import World, simulate
from ops.simulation.redrive import DeadLetters
from ops.simulation.rules import HandlerRules, RedriveRules, Rules
from ops.simulation.scenarios import (
    FAILS,
    RATES,
    REFUSES,
    SILENT,
    SLOW,
    Scenario,
    burst,
    disturbed,
    documented,
)
from tests.ops.command import Done, run
from tests.unit import outages

HOUR = 3600.0
WORK = 0.1
API = 0.4
# One invocation while the API is well.
SECONDS = WORK + API


def handler(
    executions: int = 10, share: float = 1.0, age: float = 6 * HOUR, retries: int = 2
) -> HandlerRules:
    return HandlerRules(share, executions, 30.0, WORK, retries, age)


def redriving(per_second: int = 5, queues: int = 1, interval: float = 300.0) -> RedriveRules:
    settings = AutoRedriveSettings("", "", 0, {}, {}, "", 10, per_second, 30)
    return RedriveRules(settings, interval, interval + 60 + settings.reserve_seconds, queues, types=1)


def ruled(redrive: RedriveRules | None = None, **handlers: HandlerRules) -> Rules:
    return Rules(
        handlers=handlers or {PAYMENTS: handler()},
        redrive=redrive,
        api_seconds=API,
        bus_per_second=1e6,
        lanes=1,
        lane_per_second=1e6,
    )


@pytest.fixture(scope="module")
def prod() -> Rules:
    found = measured.read()
    return rules.of(Usage(stack.shipped("prod"), found, assumptions.of(found), prices.prices(), 0))


# The rules


def test_the_rules_of_prod_are_those_of_its_stack(prod: Rules) -> None:
    deployed = stack.shipped("prod")
    for name, function in ((name, deployed.functions[name]) for name in (PAYMENTS, BILLING)):
        found = prod.handlers[name]
        assert (found.executions, found.timeout_seconds) == (function.reserved, function.timeout_seconds)
        assert (found.retries, found.event_age_seconds) == (2, deployed.settings.max_event_age_seconds)
    assert prod.first_retry_seconds == 60
    redrive = prod.redrive
    assert redrive is not None
    assert redrive.interval_seconds == deployed.settings.auto_redrive_minutes * 60
    assert redrive.settings.per_second == deployed.settings.auto_redrive_per_second
    assert redrive.run_seconds == deployed.functions["redrive"].timeout_seconds
    # A run works until the next one starts, which Scheduler does within a minute.
    assert redrive.run_seconds - redrive.settings.reserve_seconds == redrive.interval_seconds + 60
    assert redrive.queues == 6


def test_an_environment_without_the_redrive_has_none_and_shares_the_account() -> None:
    found = measured.read()
    usage = Usage(stack.shipped("dev"), found, assumptions.of(found), prices.prices(), 0)
    dev = rules.of(usage)
    assert dev.redrive is None
    assert dev.handlers[PAYMENTS].executions == 1000


def test_a_stack_is_sized_only_where_it_does_not_carry_twice_the_rate(prod: Rules) -> None:
    assert prod.sized(10) is prod
    sized = prod.sized(20_000)
    for rule in sized.handlers.values():
        busy = 20_000 * rule.share * (rule.work_seconds + sized.api_seconds)
        assert rule.executions == pytest.approx(2 * busy, rel=0.01)
    assert sized.bus_per_second == 40_000
    assert sized.lanes * sized.lane_per_second >= 2 * 20_000 * max(
        each.share for each in sized.handlers.values()
    )
    assert sized.redrive is not None
    assert sized.redrive.settings.per_second == rules.most_per_second() == 100


def test_a_rate_is_carried_up_to_what_binds_first(prod: Rules) -> None:
    lane = prod.lane_per_second / max(each.share for each in prod.handlers.values())
    assert prod.excess(lane * 0.99) is None
    assert "audit lane of payments" in str(prod.excess(lane * 1.01))
    assert "payments needs" in str(replace(prod, api_seconds=0.3).excess(lane * 0.99))
    assert "EventBridge" in str(replace(prod, bus_per_second=5.0).excess(6.0))
    for rate in RATES:
        assert prod.sized(rate).excess(rate) is None


# One invocation


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("answer", [0.0, 0.3, 2.0, 4.5, READ_SECONDS])
@pytest.mark.parametrize("timeout", [26.0, 60.0])
def test_a_failing_invocation_takes_as_long_as_the_shipped_retries(
    monkeypatch: pytest.MonkeyPatch, seed: int, answer: float, timeout: float
) -> None:
    clock, calls = [WORK], [0]

    def call() -> None:
        clock[0] += answer
        calls[0] += 1
        raise TransientError("the API does not answer")

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: (timeout - clock[0]) * 1000)
    monkeypatch.setattr("functions.shared.retry.time.sleep", sleep)
    random.seed(seed)
    with pytest.raises(TransientError):
        retry.retry(call, context=context, attempt_seconds=ATTEMPT_SECONDS)
    random.seed(seed)
    played = play(Api(answer, applies=False), WORK, timeout, retry.wait_after)
    assert played.seconds == pytest.approx(clock[0])
    assert (played.calls, played.applied) == (calls[0], False)


def test_an_invocation_of_a_healthy_api_takes_one_call() -> None:
    assert average(Api(API), WORK, 30.0, seed=1).seconds == pytest.approx(SECONDS)


def test_a_refusing_api_costs_the_mean_of_three_waits() -> None:
    waits = sum(retry.longest_wait(attempt) for attempt in range(1, retry.ATTEMPTS)) / 2
    found = average(Api(0.0, applies=False), WORK, 30.0, seed=1)
    assert found.seconds == pytest.approx(WORK + waits, rel=0.02)
    assert found.calls == retry.ATTEMPTS


def test_a_slow_api_fails_once_it_is_slower_than_a_handler_waits() -> None:
    assert Api(0.25).slower(10) == Api(2.5)
    assert Api(2.0).slower(10) == Api(READ_SECONDS, applies=False)


# Lambda's queue


def test_a_burst_drains_at_the_concurrency() -> None:
    """10 at once, half a second each: 20 a second, so 6,000 events need 300 seconds."""
    scenario = Scenario("burst", "burst", 0.0, 1.0, burst=6000, burst_seconds=1.0)
    outcome = World(ruled(), scenario, seed=1, tick=0.1).run()
    assert outcome.recovery_seconds == pytest.approx(6000 / 20, rel=0.01)
    # The last ones have begun.
    assert outcome.applied == pytest.approx(6000, abs=20)


@pytest.mark.parametrize("tick", [0.05, 0.3, 0.5, 0.7, 1.0, 5.0, 20.0])
def test_what_the_concurrency_carries_does_not_depend_on_the_tick(tick: float) -> None:
    scenario = Scenario("burst", "burst", 0.0, 20.0, burst=6000, burst_seconds=20.0)
    outcome = World(ruled(), scenario, seed=1, tick=tick).run()
    assert outcome.recovery_seconds == pytest.approx(6000 / 20 - 20, rel=0.03, abs=tick)


def test_a_failed_event_reaches_the_dead_letter_queue_after_three_invocations() -> None:
    """Two waits of Lambda and three invocations after it arrived."""
    failing = average(Api(0.0, applies=False), WORK, 30.0, 1).seconds
    scenario = Scenario(REFUSES, "", 0.0, 600.0, REFUSES, burst=1, burst_seconds=0.1)
    outcome = World(ruled(), scenario, seed=1, tick=0.1).run()
    assert outcome.filled_at == pytest.approx(60 + 120 + 3 * failing, abs=1.0)
    assert outcome.failed_invocations == pytest.approx(3)
    assert outcome.dead_lettered == pytest.approx(1)


def test_an_event_whose_retry_comes_after_the_outage_reaches_no_dead_letter_queue() -> None:
    outcome = simulate(ruled(redriving()), Scenario(REFUSES, "", 1.0, 150.0, REFUSES))
    assert outcome.dead_lettered == 0
    assert outcome.recovery_seconds == pytest.approx(120, abs=5)


def test_an_event_older_than_the_event_age_goes_to_the_dead_letter_queue() -> None:
    """One at once for half a second: 1,200 of 6,000 events are begun in ten minutes."""
    old = ruled(payments=handler(executions=1, age=600.0))
    outcome = simulate(old, Scenario("burst", "", 0.0, 1.0, burst=6000, burst_seconds=1.0))
    assert outcome.applied == pytest.approx(1200, rel=0.1)
    assert outcome.applied + outcome.dead_lettered == pytest.approx(6000, rel=0.001)


# Dead-letter queues and redrive


def test_dead_letters_are_taken_oldest_first_and_expire() -> None:
    queue = DeadLetters()
    queue.add(1.0, PAYMENTS, 3.0)
    queue.add(2.0, BILLING, 2.0)
    assert queue.take(4.0) == [(PAYMENTS, 3.0), (BILLING, 1.0)]
    assert queue.expire(2.0) == 0
    assert queue.expire(2.1) == 1.0
    assert queue.depth == 0


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[outages.World], outages.World]]:
    with ExitStack() as running:
        yield lambda world: running.enter_context(outages.playing(world, monkeypatch))


@pytest.mark.parametrize("messages", [1, 60, 300, 2000])
def test_the_redrive_recovers_when_the_shipped_one_does(
    shipped: Callable[[outages.World], outages.World], messages: int
) -> None:
    """The shipped code in simulated time, with objects of one event each, from the same moment."""
    world = shipped(outages.World())
    for number in range(messages):
        world.fail(f"evt_{number}", f"cus_{number}", 100, doubt=False)
    took = world.run_until(lambda: not world.left(), most_seconds=10 * HOUR)
    redrive = redriving(outages.RATE, queues=len(world.queues.bodies), interval=outages.INTERVAL)
    known = ruled(redrive, payments=handler(executions=1000))
    known = replace(known, api_seconds=outages.CALL_SECONDS - WORK)
    scenario = Scenario(REFUSES, "", 0.0, HOUR, REFUSES, burst=messages, burst_seconds=1.0)
    outcome = World(known, scenario, seed=1, tick=1.0).run()
    # Receiving 1,000 messages takes it 2 seconds, which the simulation leaves out.
    assert outcome.recovery_seconds == pytest.approx(took, rel=0.05, abs=8)


@pytest.mark.parametrize("hours", [1, 24, 30])
def test_an_outage_of_prod_heals_as_the_documents_promise(prod: Rules, hours: int) -> None:
    """docs/failures.md: the time at the rate, two intervals of the redrive, and 10 seconds for each run."""
    outcome = simulate(prod, disturbed(10, REFUSES, hours * HOUR))
    redrive = prod.redrive
    assert redrive is not None
    least = outcome.dead_lettered / redrive.settings.per_second
    runs = 1 + least / redrive.interval_seconds
    assert outcome.recovery_seconds is not None
    assert least <= outcome.recovery_seconds <= least + 2 * redrive.interval_seconds + 10 * runs


def test_no_run_begins_while_the_api_does_not_answer() -> None:
    outcome = simulate(ruled(redriving()), disturbed(1, REFUSES, HOUR))
    assert outcome.probes == 0


def test_an_open_circuit_lets_few_events_probe() -> None:
    """The base URL answers, so runs begin; each type tries three at once, with a pause after a failure."""
    outcome = simulate(ruled(redriving()), disturbed(1, FAILS, HOUR))
    seconds = average(Api(API, applies=False), WORK, 30.0, 1).seconds
    most = PROBES_AT_ONCE * HOUR / min(PAUSE_SECONDS, seconds)
    assert 100 < outcome.probes < most
    assert outcome.recovery_seconds is not None


def test_two_runs_never_redrive_at_once() -> None:
    """A run may last until the next one begins; together they keep the rate."""
    known = ruled(redriving(per_second=5), payments=handler(executions=1000))
    outcome = simulate(known, Scenario(REFUSES, "", 0.0, HOUR, REFUSES, burst=9000))
    assert outcome.recovery_seconds is not None
    assert 9000 / 5 <= outcome.recovery_seconds <= 9000 / 5 * 1.05 + 300


def test_what_waits_longer_than_its_retention_is_deleted_by_sqs() -> None:
    slow = ruled(redriving(per_second=1), payments=handler(executions=1000))
    outcome = simulate(slow, disturbed(100, REFUSES, 24 * HOUR))
    assert outcome.recovery_seconds is None
    redriven = outcome.dead_lettered - outcome.deleted
    assert redriven == pytest.approx(QUEUE_RETENTION_SECONDS + 12 * HOUR, rel=0.05)


def test_without_the_redrive_the_dead_letter_queue_waits_for_an_operator() -> None:
    outcome = simulate(ruled(), Scenario(REFUSES, "", 0.0, HOUR, REFUSES, burst=100))
    assert outcome.recovery_seconds is None
    assert outcome.deleted == pytest.approx(100)


# EventBridge and the audit


def test_what_exceeds_the_quota_of_eventbridge_waits_there() -> None:
    known = replace(ruled(payments=handler(executions=1000)), bus_per_second=100.0)
    outcome = simulate(known, Scenario("burst", "", 50.0, 60.0, burst=6000))
    assert outcome.most(lambda sample: sample.bus) == pytest.approx(60 * (150 - 100), rel=0.05)
    assert outcome.recovery_seconds == pytest.approx(60, abs=3)


def test_a_lane_of_the_audit_carries_its_batches() -> None:
    known = replace(ruled(payments=handler(executions=1000)), lane_per_second=100.0)
    outcome = simulate(known, Scenario("burst", "", 50.0, 60.0, burst=6000))
    assert outcome.most(lambda sample: sample.lanes) == pytest.approx(60 * (150 - 100), rel=0.05)


# Whole runs


@pytest.mark.parametrize("fault", [SLOW, REFUSES, SILENT, FAILS])
def test_every_event_is_applied_deleted_or_still_new(prod: Rules, fault: str) -> None:
    scenario = disturbed(10, fault, HOUR)
    outcome = simulate(replace(prod, api_seconds=0.3), scenario)
    arrived = scenario.arriving(0.0, outcome.samples[-1].at)
    # The last tick's events may be on their way.
    assert outcome.applied + outcome.deleted == pytest.approx(arrived, abs=10 * 301)


def test_the_same_seed_gives_the_same_bytes(prod: Rules) -> None:
    scenario = disturbed(10, SILENT, HOUR)
    first, second = (simulate(prod, scenario, seed=7) for _ in range(2))
    assert first.samples == second.samples
    assert plots.draw([(scenario, first)]) == plots.draw([(scenario, second)])


def test_the_work_of_a_run_does_not_grow_with_the_rate(prod: Rules) -> None:
    """Events move in cohorts: twenty times the events are as many samples."""
    one, twenty = (len(simulate(prod.sized(rate), burst(rate)).samples) for rate in (1000.0, 20_000.0))
    assert twenty < 2 * one


def test_a_burst_brings_what_it_says() -> None:
    scenario = burst(10.0, 500)
    assert scenario.arriving(0.0, 60.0) == pytest.approx(600 + 500)
    assert scenario.arriving(60.0, 120.0) == pytest.approx(600)
    assert sum(scenario.arriving(at, at + 7.0) for at in range(0, 70, 7)) == pytest.approx(700 + 500)


def test_the_documented_scenarios_are_those_that_were_asked_for() -> None:
    names = [(each.fault, each.seconds / HOUR) for each in documented(10)]
    assert names[:5] == [("", 1 / 60), (SLOW, 1 / 6), (REFUSES, 1), (REFUSES, 24), (REFUSES, 30)]
    assert RATES == (10, 1000, 20_000)


# The measured outage


def test_the_simulation_is_within_a_fifth_of_the_measured_outage() -> None:
    """Recovery, depth, and the time until all retries are used up, under the settings that were deployed."""
    compared = check.compare(kept.read())
    assert len(compared) == 6
    assert [each for each in compared if not each.within] == []


def test_a_simulation_under_other_rules_is_not_within_it() -> None:
    """A comparison that always passes proves nothing."""
    slower = kept.read().model_copy(
        update={"settings": {**kept.read().settings, "AUTO_REDRIVE_PER_SECOND": "2"}}
    )
    assert [each.what for each in check.compare(slower) if not each.within] != []


# The page


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_and_its_plots_are_what_the_code_says() -> None:
    assert scale_page.stale() == [], f"{scale_page.PAGE} is stale: run `make docs`"


def test_a_plot_is_a_picture_of_every_rate() -> None:
    outcomes = [(each, simulate(ruled(redriving()), each)) for each in (burst(1.0), burst(2.0))]
    drawn = plots.draw(outcomes)
    assert drawn.count("<polyline") == drawn.count("<g ") * drawn.count('<path class="of ')
    assert "nan" not in drawn


def test_every_documented_plot_is_shown_on_the_page() -> None:
    page = (ROOT / scale_page.PAGE).read_text(encoding="utf-8")
    for path in (ROOT / scale_page.PLOTS).iterdir():
        assert f"](scale/{path.name})" in page


# The command


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: run(["simulate", *arguments], monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--scenario", "storm"),
            "invalid --scenario 'storm': expected burst, slow, refuses, silent or fails",
        ),
        (
            ("--check", "--seed", "7"),
            "invalid --seed with --check or --measure, which compare one kept outage: leave it out",
        ),
        (("--events-per-second", "0"), "invalid --events-per-second 0: expected 0.01 to 100,000"),
        (("--events-per-second", "nan"), "invalid --events-per-second nan: expected 0.01 to 100,000"),
        (("--for", "soon"), "invalid --for 'soon': expected a span such as 10m, 24h or 2d, up to 30d"),
        (("--for", "0m"), "invalid --for '0m': expected a span such as 10m, 24h or 2d, up to 30d"),
        (("--for", "31d"), "invalid --for '31d': expected a span such as 10m, 24h or 2d, up to 30d"),
        (("--burst", "5"), "invalid --burst 5: expected 1 to 1,000,000,000, with --scenario burst"),
        (("--scenario", "burst", "--burst", "0"), "invalid --burst 0: expected 1 to 1,000,000,000, "),
        (("--scenario", "slow", "--set", "api_ms=x"), "invalid --set 'api_ms=x': expected api_ms=NUMBER"),
        (("--scenario", "slow", "--env", "none"), 'no environment "none"'),
        (("--env", "prod", "--events-per-second", "1000"), "prod does not carry 1000 events a second: "),
        (("--set", "api_ms=10000"), "invalid api_ms 10000: the handlers wait 10 s for an answer"),
        (("--plots", "Makefile"), "invalid --plots Makefile: expected a folder"),
    ],
)
def test_wrong_input_is_one_line(command: Command, arguments: tuple[str, ...], message: str) -> None:
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_the_command_simulates_what_was_asked_for(command: Command, tmp_path: Path) -> None:
    wanted = ("--env", "prod", "--scenario", "refuses", "--for", "20m", "--set", "api_ms=100")
    done = command(*wanted, "--events-per-second", "4", "--plots", str(tmp_path / "plots"), "--json")
    assert done.code == 0
    (found,) = json.loads(done.out)["runs"]
    assert (found["events_per_second"], found["seconds"]) == (4, 1200)
    # Events of the last three minutes are still retried by Lambda when the API returns.
    assert found["dead_lettered"] == pytest.approx(4 * (1200 - 183), rel=0.02)
    assert found["recovery_seconds"] == pytest.approx(found["dead_lettered"] / 5 + 300, rel=0.05)
    (drawn,) = (tmp_path / "plots").iterdir()
    assert drawn.name == "refuses-20min.svg"
    assert "refuses-20min at 4/s" in done.err


def test_settings_of_the_environment_are_what_is_simulated(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTO_REDRIVE_PER_SECOND", "50")
    done = command(
        "--env", "prod", "--scenario", "refuses", "--for", "20m", "--events-per-second", "4", "--json"
    )
    (found,) = json.loads(done.out)["runs"]
    assert found["redrive_per_second"] == 50
    assert found["recovery_seconds"] < 300 + 100


def test_without_the_redrive_an_operator_is_named(command: Command) -> None:
    done = command("--scenario", "refuses", "--for", "20m", "--events-per-second", "1")
    assert done.code == 0
    assert "auto_redrive is off" in done.out


def test_check_shows_each_figure_and_passes(command: Command) -> None:
    done = command("--check", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert len(document["figures"]) == 6
    assert all(each["within"] for each in document["figures"])


def test_check_fails_where_a_figure_is_too_far_off(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    other = kept.read().model_copy(update={"recovery_seconds": 400.0})
    monkeypatch.setattr(kept, "read", lambda: other)
    done = command("--check")
    assert done.code == 1
    assert "a figure differs by more than 20%" in done.out


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_measurement_that_cannot_be_read_says_how_to_make_one(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "measured.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OperatorError, match="run `simulate --measure`"):
        kept.read(path)


def test_a_kept_measurement_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    kept.write(kept.read(), path)
    assert kept.read(path) == kept.read()
    assert path.read_text() == kept.FILE.read_text()
