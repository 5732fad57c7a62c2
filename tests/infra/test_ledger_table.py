"""The ledger's table for Athena fits the objects that the functions really write."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ledger import keys
from functions.ledger.records import LedgerRecord, parse
from functions.shared import names
from infra.constructs.ledger_table import DAY, FIRST_DAY
from infra.deployment_roles import Place
from infra.names import LEDGER_TABLE, database_name
from ops.local.envelopes import GENERATIONS, SAMPLES, load, sample
from tests.infra.conftest import ENVIRONMENTS
from tests.infra.terraform_json import Stack
from tests.policies.shipped import ACCOUNT, REGION

BUCKET = "s3://${aws_s3_bucket.ledger_bucket.bucket}/"
FIRST = datetime.combine(FIRST_DAY, time(), UTC)
LAST_DAY = datetime(2035, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
# Milliseconds after the first day at which a queue receives a message, and that others of a batch waited.
TIMES = st.integers(0, round((LAST_DAY - FIRST).total_seconds() * 1000))
WAITED = st.lists(st.integers(0, names.QUEUE_RETENTION_SECONDS * 1000), max_size=3)


@pytest.fixture(scope="session")
def table(secured: Stack) -> dict[str, Any]:
    return secured.only("aws_glue_catalog_table")


def received(envelope: dict[str, Any], at: datetime, message_id: str = "m-1") -> LedgerRecord:
    """The record of an envelope that the queue received at a time."""
    milliseconds = round(at.timestamp() * 1000)
    attributes = {"SentTimestamp": str(milliseconds)}
    return parse({"messageId": message_id, "body": json.dumps(envelope), "attributes": attributes})


def partition(table: dict[str, Any], key: str) -> date:
    """The day of the partition that an object is read in; the path must be Athena's own for a table."""
    location = table["storage_descriptor"]["location"]
    assert f"{BUCKET}{key}".startswith(location)
    folder, separator, name = f"{BUCKET}{key}".removeprefix(location).partition("/")
    assert separator
    assert "/" not in name
    # Athena decompresses an object by the end of its name.
    assert name.endswith(".gz")
    # And takes one whose name begins like this for hidden.
    assert not name.startswith(("_", "."))
    column, _, value = folder.partition("=")
    assert [column] == [each["name"] for each in table["partition_keys"]] == [DAY]
    assert table["parameters"][f"projection.{DAY}.format"] == "yyyy-MM-dd"
    return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()


def test_it_is_off_where_nobody_turns_it_on(stack_of: Callable[[str], Stack]) -> None:
    for environment in ENVIRONMENTS:
        assert not [kind for kind in stack_of(environment).document["resource"] if "glue" in kind]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_column_is_in_each_line_with_its_type(table: dict[str, Any], generation: str) -> None:
    columns = {each["name"]: each["type"] for each in table["storage_descriptor"]["columns"]}
    samples = load(SAMPLES / generation)
    assert len(samples) > 20
    for each in samples:
        line = json.loads(received(each.envelope, LAST_DAY).line)
        # All members of a line have a column: nothing that is stored can't be queried.
        assert set(line) == set(columns)
        assert set(columns.values()) == {"string"}
        # OpenX's SerDe returns the JSON text of an object for a column that is a string.
        assert {name: type(value) for name, value in line.items() if not isinstance(value, str)} == {
            "envelope": dict
        }
        assert datetime.fromisoformat(line["received_at"]).utcoffset() == timedelta(0)


def test_nested_keys_keep_their_case(table: dict[str, Any]) -> None:
    """Otherwise {"orderId": 1, "orderid": 2}, which a customer's metadata may have, would be a duplicate."""
    serde = table["storage_descriptor"]["ser_de_info"]
    assert serde == {
        "serialization_library": "org.openx.data.jsonserde.JsonSerDe",
        "parameters": {"case.insensitive": "FALSE"},
    }
    for column in table["storage_descriptor"]["columns"]:
        assert column["name"] == column["name"].lower()


@given(newest=TIMES, waited=WAITED, content=st.binary(max_size=8))
def test_each_key_is_in_the_projected_partition_of_its_day(
    table: dict[str, Any], newest: int, waited: list[int], content: bytes
) -> None:
    times = [FIRST + timedelta(milliseconds=max(0, newest - each)) for each in (0, *waited)]
    envelope = sample("invoice.paid")
    records = [received(envelope, at, f"m-{number}") for number, at in enumerate(times)]
    small = keys.object_key(records)
    span = keys.span(small)
    assert span
    for key in (small, keys.compacted_key(span, content)):
        day = partition(table, key)
        assert day == max(times).date()
        assert key.startswith(keys.day_prefix(day))
        first, last = table["parameters"][f"projection.{DAY}.range"].split(",")
        assert date.fromisoformat(first) <= day
        # No message is received later than now.
        assert last == "NOW"


def test_projection_is_one_partition_a_day(table: dict[str, Any]) -> None:
    parameters = table["parameters"]
    assert parameters["projection.enabled"] == "true"
    assert parameters[f"projection.{DAY}.type"] == "date"
    assert (parameters[f"projection.{DAY}.interval"], parameters[f"projection.{DAY}.interval.unit"]) == (
        "1",
        "DAYS",
    )
    # Athena's own path for a table without a template is LOCATION/dt=2026-04-01/.
    assert "storage.location.template" not in parameters
    assert table["partition_keys"][0]["type"] == "string"


def test_nothing_but_the_ledgers_objects_is_read(table: dict[str, Any]) -> None:
    location = table["storage_descriptor"]["location"]
    assert location == f"{BUCKET}{names.LEDGER_PREFIX}"
    # What was replayed by force or erased, and why, is beside it.
    assert names.LEDGER_PREFIX == "audit/"
    assert location.endswith("/")


def test_it_is_an_external_table_of_the_environments_database(secured: Stack, table: dict[str, Any]) -> None:
    database = secured.only("aws_glue_catalog_database")
    assert database["name"] == "huntaze_stripe_prod"
    assert table["database_name"] == "${aws_glue_catalog_database.ledger_table_database.name}"
    assert (table["name"], table["table_type"]) == (LEDGER_TABLE, "EXTERNAL_TABLE")
    assert table["parameters"]["EXTERNAL"] == "TRUE"


def test_a_name_needs_no_quotes_in_sql_and_is_the_roles_own() -> None:
    for environment in (*ENVIRONMENTS, "a-name-of-16-chr"):
        name = database_name(environment)
        assert name.replace("_", "a").isalnum()
        assert name == name.lower()
        where = Place(ACCOUNT, REGION, environment, "huntaze-stripe-terraform-state")
        assert where.database.endswith(f":database/{name}")
        assert fnmatchcase(
            f"arn:aws:glue:{REGION}:{ACCOUNT}:table/{name}/{LEDGER_TABLE}", where.database_tables
        )


def test_no_two_environments_share_a_database() -> None:
    assert database_name("eu-1") != database_name("eu1")
    assert "_" not in "".join(ENVIRONMENTS)
