"""The documents, and what tests read from them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ops import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "tests/**/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
# What reads an event, a customer's record or a log line, besides the ledger's objects.
CUSTOMER_DATA = (
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
    "dynamodb:Scan",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:GetLogObject",
    "logs:GetLogRecord",
    "logs:GetQueryResults",
    "logs:StartLiveTail",
    "logs:StartQuery",
    "logs:Unmask",
    "sqs:ReceiveMessage",
    "xray:BatchGetTraces",
    "xray:GetTraceSummaries",
)
OUTPUT = re.compile(r"<!-- make local output: begin -->\n(.*?)<!-- make local output: end -->", re.DOTALL)


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def commands(document: Path) -> list[str]:
    """The commands of the console blocks, without their comments."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", text(document), flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line[2:].partition(" # ")[0].strip() for line in lines if line.startswith("$ ")]


def policy_statements(role: str) -> dict[str, dict[str, Any]]:
    """Every statement of one role that docs/deployment-roles.md prints, by its Sid."""
    page = text(ROOT / "docs" / "deployment-roles.md")
    (part,) = re.findall(rf"^## {role}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```json\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    found = [statement for block in blocks for statement in json.loads(block)["Statement"]]
    assert len({statement["Sid"] for statement in found}) == len(found) > 0
    return {statement["Sid"]: statement for statement in found}
