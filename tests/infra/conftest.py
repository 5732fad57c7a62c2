"""Stacks synthesised once per session, in the variants that the tests look at."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsii._kernel import Kernel
from jsii._kernel.providers.process import ProcessProvider

from infra import settings
from infra.app import synthesise
from tests.infra.terraform_json import Stack

SOURCE = "aws.partner/stripe.com/ed_test_61TestSource"
EVERYTHING_ON = {
    "CREATE_KMS_KEY": "true",
    "DELETION_PROTECTION": "true",
    # What bus_logs needs.
    "LIVEMODE": "false",
    "LAMBDA_TRACING": "true",
    "AUDIT_SUBNET_IDS": "subnet-0a, subnet-0b",
    "AUDIT_SECURITY_GROUP_IDS": "sg-0a",
    "LEDGER_OBJECT_LOCK_DAYS": "365",
    "LEDGER_EXPIRATION_DAYS": "2557",
    "HEARTBEAT_MINUTES": "60",
    "ALERT_EMAILS": "on.call@huntaze.com,on-call@huntaze.com",
    "AWS_ACCOUNT_ID": "123456789012",
    "BUS_LOGS": "true",
    "RECONCILE_ACCOUNTS": "acct_1Secured, acct_2Secured",
    "LEDGER_COMPACTION": "true",
    "ATHENA_TABLE": "true",
}

# The shipped environments; a checkout may have more.
ENVIRONMENTS = ("dev", "staging", "prod")
# The scheduled functions of the shipped settings.
SCHEDULED = {"dev": (), "staging": ("reconcile",), "prod": ("redrive", "reconcile")}


@dataclass(frozen=True)
class ZipBundle:
    """The smallest thing that passes for a function bundle."""

    path: Path
    sha256: str
    contents: Mapping[str, str] = field(default_factory=lambda: {"functions.payments": "0a1b2c3d"})


def make_bundle(folder: Path) -> ZipBundle:
    path = folder / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("functions/payments.py"), "def handler(event, context): ...\n")
    return ZipBundle(path, hashlib.sha256(path.read_bytes()).hexdigest())


def synthesise_into(folder: Path, overrides: Mapping[str, str] | None = None) -> Path:
    environ = {"STRIPE_EVENT_SOURCE_NAME": SOURCE, "ALERT_EMAILS": "none", **(overrides or {})}
    bundle = make_bundle(folder)
    state = settings.load_state(environ=environ)
    synthesise(
        folder / "cdktf.out",
        state=state,
        deployed=settings.load_deployed(state, environ=environ),
        environments=[settings.load(name, environ=environ) for name in ENVIRONMENTS],
        bundles={name: {"handlers": bundle, "audit": bundle} for name in ENVIRONMENTS},
    )
    return folder / "cdktf.out"


@pytest.fixture(scope="session", autouse=True)
def jsii() -> Iterator[None]:
    """End the Node.js process behind the constructs with the tests, and not when Python is half gone."""
    yield
    provider = Kernel().provider
    assert isinstance(provider, ProcessProvider)
    provider._process.stop()


@pytest.fixture(scope="session")
def outdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped settings of every environment."""
    return synthesise_into(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="session")
def secured_outdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every optional part of the stacks switched on."""
    return synthesise_into(tmp_path_factory.mktemp("secured"), EVERYTHING_ON)


@pytest.fixture(scope="session")
def stack_of(outdir: Path) -> Callable[[str], Stack]:
    return lambda environment: Stack.read(outdir, f"huntaze-stripe-{environment}")


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def stack(request: pytest.FixtureRequest, outdir: Path) -> Stack:
    """Each environment's stack with its shipped settings."""
    return Stack.read(outdir, f"huntaze-stripe-{request.param}")


@pytest.fixture(scope="session")
def secured(secured_outdir: Path) -> Stack:
    """prod with every optional part."""
    return Stack.read(secured_outdir, "huntaze-stripe-prod")


@pytest.fixture(scope="session")
def bootstrap(outdir: Path) -> Stack:
    return Stack.read(outdir, "huntaze-stripe-bootstrap")
