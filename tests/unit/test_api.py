"""What each answer of the API means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from functions import __version__
from functions.pipeline.api import ANSWER_LIMIT_BYTES, HuntazeApi, build_client
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.route import Request
from functions.shared.errors import (
    AuthenticationRefusedError,
    ConfigurationError,
    EventError,
    PermanentError,
    TransientError,
)
from functions.shared.retry import retry_after

EVENT = StripeEvent(
    id="evt_1",
    type="invoice.paid",
    api_version="2026-03-25.dahlia",
    created=1_775_037_600,
    account=None,
    object={},
)
REQUEST = Request("/api/billing/invoice-paid", {"invoiceId": "in_1", "metadata": {"k": "é\ud800"}, "a": None})
NOW = datetime(2026, 4, 1, 10, 0, 0, tzinfo=UTC)

Handler = Callable[[httpx.Request], httpx.Response]


def post(handler: Handler, url: str = "https://api.example.com") -> None:
    with build_client(httpx.MockTransport(handler)) as client:
        HuntazeApi(url, "hk_secret", client).post(REQUEST, EVENT, "evt_1")


def answering(status: int, headers: dict[str, str] | None = None, text: str = "") -> Handler:
    # As a stream, because a Response made of text counts as read already.
    return lambda _request: httpx.Response(status, headers=headers, stream=httpx.ByteStream(text.encode()))


def expected(status: int) -> type[EventError] | None:
    if 200 <= status <= 299 or status == 409:
        return None
    if status in (401, 403):
        return AuthenticationRefusedError
    if status in (408, 425, 429) or 500 <= status <= 599:
        return TransientError
    return PermanentError


@pytest.mark.parametrize("status", range(200, 600))
def test_answer_table(status: int) -> None:
    kind = expected(status)
    if kind is None:
        post(answering(status))
        return
    with pytest.raises(EventError) as caught:
        post(answering(status, text="the answer names ada@example.com"))
    assert type(caught.value) is kind
    assert caught.value.in_flight == (status >= 500 and status not in (500, 503))
    assert (caught.value.status, caught.value.path) == (status, "/api/billing/invoice-paid")
    assert str(status) in caught.value.reason
    assert "ada@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "error code: 1001",
        "<html><title>409 Conflict</title></html>",
        '{"code": "version_conflict"}',
        '{"code": null}',
        '{"error": {"code": "request_in_progress"}}',
        '["conflict"]',
    ],
)
def test_conflict_that_the_api_may_not_have_answered_is_not_applied(text: str) -> None:
    with pytest.raises(TransientError, match="409 without a code of its contract") as caught:
        post(answering(409, text=text))
    assert caught.value.unknown_outcome


@pytest.mark.parametrize("text", ["<!DOCTYPE html><title>Huntaze</title>", "\n<html lang='en'></html>"])
def test_web_page_is_not_the_api(text: str) -> None:
    with pytest.raises(ConfigurationError, match="200 with a web page; check HUNTAZE_API_URL"):
        post(answering(200, text=text))


@pytest.mark.parametrize("text", ["", " ", "{}", '{"error": "applied before"}', '{"title": "Conflict"}'])
def test_conflict_of_an_api_without_codes_is_applied(text: str) -> None:
    post(answering(409, text=text))


@pytest.mark.parametrize("status", [400, 404, 410, 413, 415, 422])
def test_permanent_answers_of_the_contract_keep_what_the_api_said(status: int) -> None:
    with pytest.raises(PermanentError) as caught:
        post(answering(status, text="unknown customer"))
    assert caught.value.answer == "unknown customer"


def test_refused_key_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="check HUNTAZE_API_KEY in the secret"):
        post(answering(401))


def test_redirect_is_not_followed() -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return answering(308, {"Location": "https://elsewhere.example/"})(request)

    with pytest.raises(PermanentError):
        post(handler)
    assert asked == ["https://api.example.com/api/billing/invoice-paid"]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.PoolTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.CloseError,
        httpx.RemoteProtocolError,
    ],
)
def test_no_answer_is_transient_and_named_by_its_class(error: type[httpx.TransportError]) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error("details that may quote what was received")

    with pytest.raises(TransientError) as caught:
        post(handler)
    assert caught.value.reason == f"the API could not be reached ({error.__name__})"
    assert caught.value.status is None


class BreakingStream(httpx.SyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"half an ans"
        raise httpx.ReadError("reset")


def test_status_counts_where_the_body_breaks_off() -> None:
    post(lambda _request: httpx.Response(200, stream=BreakingStream()))
    with pytest.raises(PermanentError) as caught:
        post(lambda _request: httpx.Response(422, stream=BreakingStream()))
    assert caught.value.answer == "half an ans"


def test_answer_that_was_read_before_counts_by_its_status() -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(401, text="read already"))
    with build_client(transport) as client, pytest.raises(AuthenticationRefusedError):
        HuntazeApi("https://api.example.com", "hk", client).post(REQUEST, EVENT, "evt_1")


class EndlessStream(httpx.SyncByteStream):
    """An endless body that counts what was read."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += 1024
            yield b"x" * 1024


def test_only_the_beginning_of_an_answer_is_read() -> None:
    stream = EndlessStream()
    with pytest.raises(PermanentError) as caught:
        post(lambda _request: httpx.Response(400, stream=stream))
    assert stream.taken == ANSWER_LIMIT_BYTES + 1024
    assert caught.value.answer == "x" * 1024


def test_request_is_the_contracts() -> None:
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answering(200)(request)

    post(handler, url="https://api.example.com/v1")
    (request,) = sent
    assert (request.method, str(request.url)) == (
        "POST",
        "https://api.example.com/v1/api/billing/invoice-paid",
    )
    assert json.loads(request.content) == dict(REQUEST.body)
    wanted = {
        "Authorization": "Bearer hk_secret",
        "Content-Type": "application/json",
        "User-Agent": f"huntaze-stripe-eventbridge/{__version__}",
        "Idempotency-Key": "evt_1",
        "X-Stripe-Event-Type": "invoice.paid",
        "X-Stripe-Event-Created": "1775037600",
        "X-Stripe-Api-Version": "2026-03-25.dahlia",
    }
    assert {name: request.headers[name] for name in wanted} == wanted


def test_key_is_not_shown() -> None:
    assert "hk_secret" not in repr(HuntazeApi("https://api.example.com", "hk_secret"))


@pytest.mark.parametrize("status", [429, 503])
def test_wait_that_the_api_asks_for_is_kept(status: int) -> None:
    with pytest.raises(TransientError) as caught:
        post(answering(status, {"Retry-After": "7"}))
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_wait_is_honoured_on_429_and_503_only(status: int) -> None:
    with pytest.raises(TransientError) as caught:
        post(answering(status, {"Retry-After": "7"}))
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Wed, 01 Apr 2026 10:00:30 GMT", 30.0),
        ("Wed, 01 Apr 2026 10:00:30 -0000", 30.0),
        ("Wed, 01 Apr 2026 12:00:30 +0200", 30.0),
        ("Wed, 01 Apr 2026 09:00:00 GMT", 0.0),
        ("-5", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Wed, 01 Apr 2026 10:00:30 +99999999999999999999", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Wed, 99 Apr 2026 10:00:30 GMT", None),
    ],
)
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
