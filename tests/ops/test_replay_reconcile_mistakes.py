"""The errors of wrong `replay` and `reconcile` calls and of missing resources."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.local.loopback import free_port
from ops.local.services import isolated_environment, running_emulator
from ops.reference.stripe import Fault, ReferenceStripe
from tests.ops.command import Done, run

KEY = "sk_test_of_the_tests"
SOURCE = "aws.partner/stripe.com/ed_test_mistakes"
NEVER_SHOWN = (KEY, "Traceback", "secret-password")

REPLAY = ["replay", "start", "--since", "48h", "--yes"]


@pytest.fixture(scope="module")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS account in which nothing is deployed."""
    with running_emulator(tmp_path_factory.mktemp("aws")) as url:
        yield url


@pytest.fixture(scope="module")
def stripe() -> Iterator[ReferenceStripe]:
    with ReferenceStripe(KEY) as server:
        yield server


@pytest.fixture
def environment(
    aws_url: str, stripe: ReferenceStripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A person's environment that is right in itself."""
    for name in ("AWS_PROFILE", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    values = isolated_environment(tmp_path) | {
        "AWS_ENDPOINT_URL": aws_url,
        "STRIPE_EVENT_SOURCE_NAME": SOURCE,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_API_URL": stripe.url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    stripe.clear()
    return monkeypatch


class _Expired(BaseHTTPRequestHandler):
    """AWS as it answers credentials that are no longer good."""

    def do_POST(self) -> None:
        body = b'{"__type": "ExpiredTokenException", "message": "The security token is expired"}'
        self.send_response(400)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log."""


@pytest.fixture(scope="module")
def expired_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Expired) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "expected"),
    [
        (
            ["replay", "start", "--since", "yesterday"],
            {},
            2,
            "invalid --since 'yesterday': expected a time such as",
        ),
        (["replay", "start", "--since", "48"], {}, 2, "expected a time such as"),
        (["replay", "start", "--since", "2026-13-01"], {}, 2, "expected a time such as"),
        (["replay", "start", "--since", "48h", "--until", "never"], {}, 2, "invalid --until 'never'"),
        (["replay", "start", "--since", "48h", "--force"], {}, 2, "--reason"),
        (["replay", "start", "--since", "48h", "--force", "--reason", " "], {}, 2, "--reason"),
        (["replay", "start", "--since", "48h", "--reason", "because"], {}, 2, "--reason needs --force"),
        (["replay", "start", "--since", "48h", "--again"], {}, 2, "--again needs --force"),
        (
            [*REPLAY, "--rule", "mail"],
            {},
            2,
            "invalid --rule 'mail': expected one of payments",
        ),
        ([*REPLAY, "--env", "nowhere"], {}, 2, 'no environment "nowhere"; use one of dev, prod, staging'),
        (REPLAY, {"STRIPE_EVENT_SOURCE_NAME": ""}, 2, "stripe_event_source_name is not set"),
        (REPLAY, {"AWS_REGION": "Dublin"}, 2, "AWS_REGION"),
        (REPLAY, {"AWS_ENDPOINT_URL": "foo"}, 2, "AWS_ENDPOINT_URL='foo': expected a URL such as"),
        (
            ["replay", "status"],
            {"AWS_ENDPOINT_URL": "http://[::1"},
            2,
            "AWS_ENDPOINT_URL='http://[::1': expected a URL",
        ),
        (
            ["replay", "cancel", "a", "--yes"],
            {"AWS_ENDPOINT_URL_EVENTBRIDGE": "bar"},
            2,
            "EVENTBRIDGE='bar': expected a URL",
        ),
        (
            ["reconcile"],
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"},
            2,
            "127.0.0.1:99999': expected a URL",
        ),
        (["reconcile"], {"AWS_ENDPOINT_URL_STS": "bar"}, 2, "AWS_ENDPOINT_URL_STS='bar': expected a URL"),
        (["reconcile"], {"STRIPE_API_URL": "http://[::1"}, 2, "STRIPE_API_URL must be unset"),
        (["reconcile"], {"HUNTAZE_API_URL": "foo"}, 2, "huntaze_api_url = 'foo' must be an http"),
        (REPLAY, {}, 1, "the rule huntaze-stripe-payments-dev does not exist"),
        (REPLAY, {"AWS_ENDPOINT_URL": "http://127.0.0.1:{free}"}, 1, "does not answer: check the network"),
        (
            REPLAY,
            {"AWS_ENDPOINT_URL": "{expired}"},
            1,
            "AWS refused the credentials (ExpiredTokenException): log in",
        ),
        (REPLAY, {"AWS_PROFILE": "nobody"}, 1, "AWS_PROFILE"),
        (REPLAY, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 1, "no AWS credentials"),
        (["replay", "status"], {}, 1, "the archive huntaze-stripe-archive-dev-"),
        (["replay", "status", "--wait"], {}, 2, "--wait needs the name of a replay"),
        (["replay", "status", "a name"], {}, 2, "invalid replay name 'a name'"),
        (["replay", "status", "unknown"], {}, 1, "the replay unknown does not exist"),
        (["replay", "status", "unknown", "--wait"], {}, 1, "the replay unknown does not exist"),
        (["replay", "cancel", "unknown", "--yes"], {}, 1, "the replay unknown does not exist"),
        (["reconcile", "--since", "31d"], {}, 2, "Stripe lists the last 30 days only"),
        (["reconcile", "--until", "9m"], {}, 2, "events of the last 10 minutes"),
        (["reconcile", "--since", "1h", "--until", "2h"], {}, 2, "before it begins"),
        (["reconcile", "--since", "tomorrow"], {}, 2, "invalid --since 'tomorrow'"),
        (["reconcile", "--type", "invoice.payed"], {}, 2, "did you mean invoice.paid?"),
        (["reconcile", "--type", "invoice.paid", "--all-types"], {}, 2, "exclude each other"),
        (["reconcile", "--unapplied"], {}, 2, "--unapplied needs --heal"),
        (["reconcile", "--env", "production"], {}, 2, 'no environment "production"'),
        (
            ["reconcile"],
            {"STRIPE_SECRET_KEY": ""},
            1,
            "the secret huntaze/stripe-eventbridge/dev/stripe-secret-key does not exist",
        ),
        (["reconcile"], {"STRIPE_SECRET_KEY": "sk_test_a b"}, 2, "STRIPE_SECRET_KEY contains a space"),
        (["reconcile"], {"STRIPE_SECRET_KEY": "sk_live_abc"}, 2, "set a test key"),
        (["reconcile"], {"STRIPE_SECRET_KEY": "rk_live_abc"}, 2, "set a test key"),
        (["reconcile", "--env", "prod"], {}, 2, "set a live key"),
        (
            ["reconcile"],
            {"STRIPE_SECRET_KEY": "sk_test_other"},
            1,
            "Stripe answered 401; check STRIPE_SECRET_KEY",
        ),
        (["reconcile"], {"STRIPE_API_URL": "http://stripe.example"}, 2, "STRIPE_API_URL must be unset"),
        (["reconcile"], {"STRIPE_API_URL": "http://127.0.0.1:{free}"}, 1, "Stripe could not be reached"),
        (["reconcile", "--heal"], {}, 1, "the queue huntaze-stripe-events-dev.fifo does not exist"),
    ],
)
def test_mistake_is_one_line_that_says_what_to_do(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    expired_url: str,
    arguments: list[str],
    variables: dict[str, str],
    code: int,
    expected: str,
) -> None:
    environment.setattr("functions.stripe_api.client.BACKOFF_SECONDS", 0.0)
    for name, value in variables.items():
        environment.setenv(name, value.format(free=free_port(), expired=expired_url))
        if not value:
            environment.delenv(name)
    done = run(arguments, environment, capsys)
    _is_one_line(done, code, expected)


@pytest.mark.parametrize(
    ("database_url", "expected"),
    [
        (
            "postgresql://reader:secret-password@127.0.0.1:{free}/ledger",
            "can't read the ledger in PostgreSQL",
        ),
        ("not a url with secret-password", "can't read the ledger in PostgreSQL"),
        ("postgresql://reader:secret-password@[::1", "can't read the ledger in PostgreSQL"),
        ("postgresql://reader:secret-password@db..example/ledger", "can't read the ledger in PostgreSQL"),
        ("", "can't read the ledger: the ledger bucket answered NoSuchBucket"),
    ],
)
def test_unreadable_ledger_is_reported_without_its_address(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stripe: ReferenceStripe,
    database_url: str,
    expected: str,
) -> None:
    event = {"id": "evt_1", "object": "event", "type": "invoice.paid", "created": int(time.time()) - 3600}
    stripe.add_events(event)
    environment.setenv("DATABASE_URL", database_url.format(free=free_port()))
    _is_one_line(run(["reconcile"], environment, capsys), 1, expected)


def test_long_rate_limit_of_stripe_is_reported_with_the_progress(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stripe: ReferenceStripe
) -> None:
    environment.setattr("functions.stripe_api.client.BACKOFF_SECONDS", 0.0)
    stripe.fail(Fault(path="/v1/events", status=429))
    _is_one_line(run(["reconcile"], environment, capsys), 1, "Stripe answered 429; 0 events compared")


@pytest.mark.parametrize(
    "arguments", [["replay", "start"], ["replay", "cancel"], ["reconcile", "--colour", "red"]]
)
def test_unknown_and_missing_options_are_wrong_usage(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    done = run(arguments, environment, capsys)
    assert done.code == 2
    assert "Traceback" not in done.err


def _is_one_line(done: Done, code: int, expected: str) -> None:
    assert (done.code, len(done.err.splitlines())) == (code, 1), done
    assert expected in done.err
    assert done.err.startswith("error: ")
    for hidden in NEVER_SHOWN:
        assert hidden not in done.out + done.err
