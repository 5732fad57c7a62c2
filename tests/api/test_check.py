"""`huntaze-stripe api check` distinguishes an API that keeps the contract from one of each other dialect."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ops.api import probe
from ops.local.loopback import free_port
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.huntaze.contract import CONTRACT
from tests.local.reference_calls import API_KEY
from tests.ops.command import Done
from tests.ops.command import run as command

Check = Callable[..., Done]

PATH = "/api/billing/invoice-paid"
REJECTED = "a wrong event is rejected, by code"
REPEATED = "an equal request is reported as applied"
OTHER = "another content under an applied key is rejected, by code"
KEY_FIRST = "the key is checked before the content"
CONCURRENT = "one of several equal requests at once is applied"
AFTERWARDS = "their key is reported as applied"


def broken(api: ReferenceApi) -> dict[str, str]:
    """The promises that are broken on one path, and what was answered."""
    findings = probe.run(api.url, API_KEY, probe.samples([PATH]), lambda _: None)
    assert len(findings) == 8
    return {finding.promise: finding.problem for finding in findings if finding.problem}


def test_reference_api_keeps_every_promise_on_every_path(api: ReferenceApi) -> None:
    samples = probe.samples([])
    findings = probe.run(api.url, API_KEY, samples, lambda _: None)
    assert [finding for finding in findings if finding.problem] == []
    called = {(path, event_type) for path, types in CONTRACT.items() for event_type in types}
    assert {(finding.path, finding.event_type) for finding in findings} == called
    assert len(api.applied()) == 2 * len(samples)


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        ("no-codes", {REJECTED, REPEATED, OTHER, KEY_FIRST, CONCURRENT, AFTERWARDS}),
        ("in-progress-409", {REJECTED, OTHER, KEY_FIRST}),
        ("422-for-everything", {REJECTED, OTHER, KEY_FIRST}),
        ("409-for-everything", {REJECTED, REPEATED, OTHER, KEY_FIRST, CONCURRENT, AFTERWARDS}),
    ],
)
def test_every_other_dialect_breaks_promises(api: ReferenceApi, dialect: str, names: set[str]) -> None:
    api.speak(dialect)
    problems = broken(api)
    assert set(problems) == names
    assert {problem.split()[-3:][0] for problem in problems.values()} == {"without"}


def test_calls_in_progress_are_recognised_by_their_code(api: ReferenceApi) -> None:
    api.fail(Fault(applies=True, work=0.3))
    assert broken(api) == {}
    statuses = [recorded.status for recorded in api.requests()]
    assert statuses.count(409) >= 3


def test_api_that_never_answers_in_time_breaks_its_promises(
    api: ReferenceApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "READ_SECONDS", 0.2)
    api.fail(Fault(applies=True, header_delay=60))
    assert broken(api)[REJECTED] == "no answer in 0 s"


def test_customer_can_be_named(api: ReferenceApi) -> None:
    chosen = probe.samples(["/api/billing/invoice-paid", "/api/billing/customer-updated"], "cus_known")
    probe.run(api.url, API_KEY, chosen, lambda _: None)
    customers = {call.path: call.body["customerId"] for call in api.applied()}
    assert customers["/api/billing/invoice-paid"] == "cus_known"
    assert customers["/api/billing/customer-updated"] != "cus_known"


@pytest.fixture
def check(api: ReferenceApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    monkeypatch.setenv("HUNTAZE_API_KEY", API_KEY)

    def run(*arguments: str, url: str = api.url) -> Done:
        return command(["api", "check", "--url", url, *arguments], monkeypatch, capsys)

    return run


def test_command_lists_what_is_kept_and_ends_well(check: Check) -> None:
    done = check("--path", PATH, "--yes")
    assert (done.code, done.err) == (0, "")
    assert f"{PATH}  invoice.paid  {KEY_FIRST}: kept" in done.out
    assert API_KEY not in done.out


def test_command_ends_badly_where_a_promise_is_broken(api: ReferenceApi, check: Check) -> None:
    api.speak("in-progress-409")
    done = check("--path", PATH, "--yes", "--json")
    assert done.code == 1
    assert "3 of 8 promises broken: read docs/huntaze-api.md" in done.err
    findings = {finding["promise"]: finding for finding in json.loads(done.out)}
    assert findings[OTHER]["problem"] == "answered 422 without a code"
    assert not findings[OTHER]["kept"]
    assert findings[REPEATED]["kept"]


def test_dry_run_sends_nothing(api: ReferenceApi, check: Check) -> None:
    done = check("--dry-run")
    assert done.code == 0
    assert len(done.out.splitlines()) == sum(map(len, CONTRACT.values()))
    assert not api.requests()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "pass --yes"),
        (("--yes", "--path", "/api/refunds"), "invalid --path /api/refunds: expected one of /api/billing"),
        (("--yes", "--key-from-env", "NO_SUCH_KEY"), "NO_SUCH_KEY: the variable is empty"),
    ],
)
def test_wrong_call_is_refused(
    api: ReferenceApi, check: Check, arguments: tuple[str, ...], expected: str
) -> None:
    done = check(*arguments)
    assert done.code == 2
    assert expected in done.err
    assert not api.requests()


def test_key_is_not_sent_in_clear_text_to_another_machine(check: Check) -> None:
    done = check("--yes", url="http://api.example.com")
    assert (done.code, "unencrypted" in done.err) == (2, True)


def test_unreachable_api_is_reported_in_one_line(check: Check) -> None:
    done = check("--yes", url=f"http://127.0.0.1:{free_port()}")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert "check --url" in done.err
