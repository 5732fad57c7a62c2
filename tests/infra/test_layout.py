"""How infra/ is laid out: short constructors, and packages whose docstrings name every module."""

from __future__ import annotations

import ast
import re

import pytest

import infra.constructs
import infra.resources
from ops import ROOT

MOST_PARAMETERS = 8


def test_constructors_take_at_most_eight_parameters() -> None:
    counted = {}
    for path in (ROOT / "infra").rglob("*.py"):
        for made in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(made, ast.ClassDef):
                for method in made.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        arguments = method.args
                        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                        counted[f"{path.name}: {made.name}"] = len(every) - 1
    assert len(counted) > 20
    assert {name: count for name, count in counted.items() if count > MOST_PARAMETERS} == {}


@pytest.mark.parametrize("package", [infra.constructs, infra.resources])
def test_docstring_of_a_package_names_every_module(package: object) -> None:
    documented = set(re.findall(r"[a-z_]+", str(package.__doc__)))
    folder = ROOT / str(package.__name__).replace(".", "/")  # type: ignore[attr-defined] # a module has one
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert modules - {"__init__", "__pycache__"} - documented == set()
