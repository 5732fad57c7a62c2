"""Which exported addresses of AWS and of proxies are refused."""

from __future__ import annotations

import pytest

from ops import addresses
from ops.errors import OperatorError


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_ENDPOINT_URL": ""},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566/"},
        {"AWS_ENDPOINT_URL_S3": "https://s3.eu-west-1.amazonaws.com"},
        {"HTTPS_PROXY": "proxy.example:3128"},
        {"https_proxy": "http://user:word@proxy.example:3128"},
        {"ALL_PROXY": "socks5://127.0.0.1:1080"},
        {"HTTP_PROXY": ""},
        {"DATABASE_URL": "postgresql://user:word@db.example/x", "TF_VAR_DATABASE_URL": ""},
        {"DATABASE_URL": "postgresql://user:word@127.0.0.1/x?sslmode=disable"},
    ],
)
def test_what_can_be_an_address_is_left_alone(variables: dict[str, str]) -> None:
    addresses.check(variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "foo"),
        ("AWS_ENDPOINT_URL", " "),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ENDPOINT_URL", "http://a b"),
        ("AWS_ENDPOINT_URL", "http://[::1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:0"),
        ("AWS_ENDPOINT_URL", "ftp://127.0.0.1"),
        ("AWS_ENDPOINT_URL_SQS", "bar"),
        ("HTTPS_PROXY", "http://[::1"),
        ("http_proxy", "proxy.example:port"),
        ("http_proxy", "http://proxy..example"),
    ],
)
def test_what_cannot_be_an_address_is_named_with_the_next_step(name: str, value: str) -> None:
    with pytest.raises(OperatorError, match=r"invalid .*: expected .*unset it") as refused:
        addresses.check({name: value})
    assert str(refused.value).startswith(f"invalid {name}={value!r}: ")
    assert refused.value.usage


def test_password_in_an_address_is_hidden() -> None:
    with pytest.raises(OperatorError) as refused:
        addresses.check({"HTTPS_PROXY": "http://user:secret-password@[::1"})
    assert "secret-password" not in str(refused.value)


@pytest.mark.parametrize("name", ["DATABASE_URL", "TF_VAR_DATABASE_URL"])
def test_database_without_tls_is_refused_before_anything_is_deployed(name: str) -> None:
    with pytest.raises(OperatorError, match=r"DATABASE_URL has sslmode=prefer.*remove sslmode") as refused:
        addresses.check({name: "postgresql://user:secret-password@db.example/x?sslmode=prefer"})
    assert "secret-password" not in str(refused.value)
    assert refused.value.usage
