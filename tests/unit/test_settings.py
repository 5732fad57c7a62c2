"""Where settings come from, and the error for a wrong one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.shared import aws, settings
from functions.shared.errors import ConfigurationError, TransientError

GOOD = {
    "LIVEMODE": "false",
    "HUNTAZE_API_URL": "https://api.example.com/",
    "HUNTAZE_API_KEY": "hk_from_environment",
    "IDEMPOTENCY_TABLE": "table",
    "IDEMPOTENCY_EXPIRY_SECONDS": "8640000",
    "SECRET_IDS": "arn:secret",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/dlq",
    "ORDER": "watermark",
    "STRIPE_READS_PER_SECOND": "20",
}


class FakeSecretsManager:
    """Secrets Manager with one secret; `answer` may be an error."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.calls = 0

    def client(self, service: str, **_options: Any) -> FakeSecretsManager:
        assert service == "secretsmanager"
        return self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 (AWS spells it so)
        assert SecretId == "arn:secret"
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"SecretString": self.answer}


@pytest.fixture(autouse=True)
def cold_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*GOOD, "STRIPE_SECRET_KEY", "DATABASE_URL", "LEDGER_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    settings.delivery_settings.cache_clear()
    settings.ledger_settings.cache_clear()
    settings._secret_document.cache_clear()


def set_all(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in (GOOD | changes).items():
        monkeypatch.setenv(name, value)


def use_secret(monkeypatch: pytest.MonkeyPatch, answer: Any) -> FakeSecretsManager:
    fake = FakeSecretsManager(answer if isinstance(answer, str | Exception) else json.dumps(answer))
    monkeypatch.setattr(aws, "client", fake.client)
    return fake


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    secret = use_secret(monkeypatch, {})
    read = settings.delivery_settings()
    assert read == settings.DeliverySettings(
        livemode=False,
        api_url="https://api.example.com",
        api_key="hk_from_environment",
        idempotency_table="table",
        idempotency_expiry_seconds=8640000,
        dead_letter_queue_url=GOOD["DEAD_LETTER_QUEUE_URL"],
        order="watermark",
        stripe_reads_per_second=20,
    )
    assert secret.calls == 0
    assert "hk_from_environment" not in repr(read)


@pytest.mark.parametrize("unset", ["", "   "])
def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, unset: str) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY=unset)
    use_secret(monkeypatch, {"HUNTAZE_API_KEY": "hk_from_secret"})
    assert settings.delivery_settings().api_key == "hk_from_secret"


def test_secret_is_read_once_for_all_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY="", LEDGER_BUCKET="bucket")
    secret = use_secret(
        monkeypatch,
        {"HUNTAZE_API_KEY": "hk\n", "STRIPE_SECRET_KEY": "sk_test", "DATABASE_URL": "postgresql://u@h/d"},
    )
    assert settings.delivery_settings().api_key == "hk"
    assert settings.secret("STRIPE_SECRET_KEY") == "sk_test"
    assert settings.ledger_settings().database_url == "postgresql://u@h/d"
    assert settings.delivery_settings().api_key == "hk"
    assert secret.calls == 1
    assert "postgresql" not in repr(settings.ledger_settings())


def test_forgotten_settings_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY="")
    secret = use_secret(monkeypatch, {"HUNTAZE_API_KEY": "hk_old"})
    assert settings.delivery_settings().api_key == "hk_old"
    secret.answer = json.dumps({"HUNTAZE_API_KEY": "hk_rotated"})
    assert settings.delivery_settings().api_key == "hk_old"
    settings.forget_settings()
    assert settings.delivery_settings().api_key == "hk_rotated"


def test_ledger_without_a_database_is_in_s3_only(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, LEDGER_BUCKET="bucket")
    use_secret(monkeypatch, {"HUNTAZE_API_KEY": "hk", "DATABASE_URL": ""})
    assert settings.ledger_settings() == settings.LedgerSettings(
        bucket="bucket", dead_letter_queue_url=GOOD["DEAD_LETTER_QUEUE_URL"], database_url=None
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIVEMODE", ""),
        ("LIVEMODE", "yes"),
        ("LIVEMODE", "True"),
        ("HUNTAZE_API_URL", ""),
        ("HUNTAZE_API_URL", "api.example.com"),
        ("HUNTAZE_API_URL", "ftp://api.example.com"),
        ("HUNTAZE_API_URL", "https://"),
        ("HUNTAZE_API_URL", "http://api.example.com"),
        ("HUNTAZE_API_URL", "http://127.0.0.1.example.com"),
        ("HUNTAZE_API_URL", "https://api.example.com?"),
        ("HUNTAZE_API_URL", "https://api.example.com#"),
        ("HUNTAZE_API_URL", "https://api.example.com/?key=hidden-part"),
        ("HUNTAZE_API_URL", "https://user:hidden-part@api.example.com"),
        ("HUNTAZE_API_URL", "https://api.example.com:hidden-part"),
        ("HUNTAZE_API_URL", "https://[hidden-part"),
        ("HUNTAZE_API_URL", "https://api.example.com/hidden part"),
        ("HUNTAZE_API_KEY", "hidden-part\nX-Other: 1"),
        ("HUNTAZE_API_KEY", "hidden-part é"),
        ("IDEMPOTENCY_TABLE", ""),
        ("IDEMPOTENCY_EXPIRY_SECONDS", ""),
        ("IDEMPOTENCY_EXPIRY_SECONDS", "0"),
        ("IDEMPOTENCY_EXPIRY_SECONDS", "-1"),
        ("IDEMPOTENCY_EXPIRY_SECONDS", "100d"),
        ("DEAD_LETTER_QUEUE_URL", ""),
        ("DEAD_LETTER_QUEUE_URL", "huntaze-stripe-payments-dlq-dev"),
        ("ORDER", ""),
        ("ORDER", "sometimes"),
        ("STRIPE_READS_PER_SECOND", "0"),
        ("STRIPE_READS_PER_SECOND", "many"),
    ],
)
def test_wrong_setting_is_named_without_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    set_all(monkeypatch, **{name: value})
    with pytest.raises(ConfigurationError, match=name) as caught:
        settings.delivery_settings()
    assert "hidden-part" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost/base", "http://[::1]:9"])
def test_http_is_for_loopback(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    set_all(monkeypatch, HUNTAZE_API_URL=url)
    assert settings.delivery_settings().api_url == url


def test_error_for_a_missing_key_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY="")
    use_secret(monkeypatch, {"STRIPE_SECRET_KEY": "sk"})
    with pytest.raises(ConfigurationError, match="HUNTAZE_API_KEY is not set, and not in the secret; export"):
        settings.delivery_settings()


@pytest.mark.parametrize("document", ["not json hidden-part", "[]", '{"HUNTAZE_API_KEY": 7}', "null"])
def test_secret_that_is_not_an_object_of_strings(monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY="")
    use_secret(monkeypatch, document)
    with pytest.raises(ConfigurationError, match="SECRET_IDS") as caught:
        settings.delivery_settings()
    assert "hidden-part" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secret_that_cannot_be_read_is_read_again_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HUNTAZE_API_KEY="")
    secret = use_secret(monkeypatch, ReadTimeoutError(endpoint_url="https://secrets"))
    with pytest.raises(TransientError, match="Secrets Manager could not be reached"):
        settings.delivery_settings()
    secret.answer = json.dumps({"HUNTAZE_API_KEY": "hk"})
    assert settings.delivery_settings().api_key == "hk"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDeniedException", ConfigurationError),
        ("ResourceNotFoundException", ConfigurationError),
        ("ThrottlingException", TransientError),
        ("InternalServiceError", TransientError),
    ],
)
def test_aws_errors_are_named_by_their_code_only(code: str, kind: type[Exception]) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "quotes arn:aws:secret"}}, "GetSecretValue")
    fault = aws.fault("Secrets Manager", error)
    assert type(fault) is kind
    assert code in str(fault)
    assert "arn:aws:secret" not in str(fault)
