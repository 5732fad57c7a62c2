"""The next steps that doctor names can be run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ops.doctor
from functions.shared.names import PAYMENTS, SECRET_KEYS
from tests.infra.documented import check_aws, check_ours

# What stands for the names in a command.
EXAMPLES = {"key": SECRET_KEYS[0], "name": SECRET_KEYS[0], "part": PAYMENTS, "step": "enable", "days": "30"}


def commands() -> Iterator[str]:
    """The words of each command of ours, with an example in the place of each name."""
    for path in sorted(Path(ops.doctor.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "context.command":
                (words,) = node.args
                parts = words.values if isinstance(words, ast.JoinedStr) else [words]
                yield "".join(
                    str(part.value)
                    if isinstance(part, ast.Constant)
                    else EXAMPLES[ast.unparse(part).strip("f'{}")]
                    for part in parts
                )


@pytest.mark.parametrize("words", dict.fromkeys(commands()))
def test_a_next_step_of_ours_is_a_command(words: str) -> None:
    check_ours([*words.split(), "--env", "dev"])


def test_no_next_step_writes_a_command_otherwise() -> None:
    assert len(set(commands())) > 5
    for path in Path(ops.doctor.__file__).parent.glob("*.py"):
        if path.name != "context.py":
            assert '"huntaze-stripe ' not in path.read_text(encoding="utf-8"), path.name


def of_aws() -> Iterator[str]:
    """The commands of AWS's CLI, with x in the place of each name."""
    for path in sorted(Path(ops.doctor.__file__).parent.glob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        within = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if id(node) in within or not isinstance(node, ast.Constant | ast.JoinedStr):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            yield from re.findall(r"\baws ([a-z0-9]+ [a-z]+-.*?)(?: && |$)", text)


@pytest.mark.parametrize("words", dict.fromkeys(of_aws()))
def test_a_next_step_of_aws_is_a_whole_command(words: str) -> None:
    check_aws(words.split())
    assert "--region" in words


def test_no_command_is_cut() -> None:
    services = {words.split()[0] for words in of_aws()}
    assert services == {"events", "kms", "lambda", "s3api"}
