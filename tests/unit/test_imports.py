"""What a handler module loads decides how long a cold start takes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest

from ops import ROOT

HEAVY = {"stripe", "pydantic", "requests", "aws_xray_sdk", "asyncio", "anyio"}
# What a client of boto3 needs, and the signer alone does not.
CLIENTS = {
    "boto3",
    "botocore.client",
    "botocore.credentials",
    "botocore.endpoint",
    "botocore.loaders",
    "botocore.session",
}
# Modules that a handler loads, the standard library's included: 458 in Python 3.11, and a tenth more.
MOST_MODULES = 505
TOOLS = {"infra", "ops", "cdktf", "tests"}


def modules_of(module: str) -> set[str]:
    """What is in `sys.modules` after importing `module` in a fresh interpreter."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    # Without AWS settings: importing a handler makes no AWS client and needs no region.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(done.stdout))


def loaded_by(module: str) -> set[str]:
    """Top-level packages that `module` loads."""
    return {name.partition(".")[0] for name in modules_of(module)}


@pytest.mark.parametrize("handler", ["payments", "billing", "audit", "reconcile", "compact"])
def test_handler_loads_no_heavy_library(handler: str) -> None:
    assert loaded_by(f"functions.{handler}") & HEAVY == set()


@pytest.mark.parametrize("handler", ["payments", "billing", "audit"])
def test_handlers_of_events_load_no_client_of_boto3(handler: str) -> None:
    modules = modules_of(f"functions.{handler}")
    assert modules & CLIENTS == set()
    assert "botocore.auth" in modules
    assert len(modules) <= MOST_MODULES


@pytest.mark.parametrize("handler", ["payments", "billing", "reconcile", "compact"])
def test_event_handlers_do_not_load_the_database_driver(handler: str) -> None:
    assert loaded_by(f"functions.{handler}") & {"psycopg", "psycopg_binary"} == set()


def test_audit_loads_neither_http_client_nor_database_driver() -> None:
    assert loaded_by("functions.audit") & {"httpx", "httpcore", "psycopg"} == set()


def test_audit_imports_the_database_driver_where_it_is_needed() -> None:
    assert "psycopg" in loaded_by("functions.ledger.postgres")


@pytest.mark.parametrize("handler", ["payments", "billing", "audit", "reconcile", "compact"])
def test_handler_loads_nothing_of_the_tools(handler: str) -> None:
    assert loaded_by(f"functions.{handler}") & TOOLS == set()


def test_no_module_imports_from_a_test_module() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (getattr(node, "module", None) or "", *(alias.name for alias in node.names))
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not found, "move what they share to a helper module"
