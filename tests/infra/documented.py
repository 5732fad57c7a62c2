"""The commands that documents show, and whether they exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import typer
from botocore import xform_name
from typer.core import TyperGroup

from ops.cli import app

# Options of the aws command that belong to no operation ("Global options").
GLOBAL_OPTIONS = {"query", "output", "region"}
SERVICES = {"s3api": "s3"}


def commands(text: str) -> Iterator[str]:
    """Each command of the console blocks, and those within it, without line continuations."""
    for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            assert line.startswith("$ "), line
            yield from re.findall(r"\$\((aws [^()]*)\)", line)
            yield re.sub(r"\$\((aws|date) [^()]*\)", "inner", line.removeprefix("$ "))


def check_ours(words: list[str]) -> None:
    """Parse the words as the command line does; raises what typer raises at a wrong option."""
    command, rest = check_name(words)
    command.make_context(command.name, rest)


def check_name(words: list[str]) -> tuple[Any, list[str]]:
    """Find the command that the words begin with, and return it with the words that follow."""
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name, *words = words
        assert name in command.commands, f"huntaze-stripe has no {name}"
        command = command.commands[name]
    return command, words


def check_aws(words: list[str]) -> None:
    service, operation, *rest = words
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations, f"aws {service} has no {operation}"
    shape: Any = model.operation_model(operations[operation]).input_shape
    known = {xform_name(member, "-") for member in shape.members}
    given = {word.removeprefix("--") for word in rest if word.startswith("--")}
    assert given <= known | GLOBAL_OPTIONS, f"aws {service} {operation}: {given - known - GLOBAL_OPTIONS}"
    needed = {xform_name(member, "-") for member in shape.required_members}
    assert needed <= given, f"aws {service} {operation} needs {needed - given}"
