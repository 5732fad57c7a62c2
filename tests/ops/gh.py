"""Stands in for GitHub and its CLI: `gh.py STORE ARGUMENTS` keeps what a workflow writes in a file."""

from __future__ import annotations

import itertools
import json
import re
import stat
import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jq

BOT = "github-actions[bot]"
State = dict[str, list[Any]]


class GitHub:
    """A repository: its comments, labels, issues and releases.

    Parameters
    ----------
    folder
        For the file of it, and for the program `gh`: put it on PATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = folder / "github.json"
        folder.mkdir(exist_ok=True)
        self.write()
        program = folder / "gh"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__)}" "{self._store}" "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def write(self, **given: list[Any]) -> None:
        """Begin with these lists, and with nothing else."""
        self._store.write_text(
            json.dumps({"comments": [], "labels": [], "issues": [], "releases": []} | given)
        )

    def __getitem__(self, kind: str) -> list[Any]:
        found: list[Any] = json.loads(self._store.read_text())[kind]
        return found


def fields(arguments: Sequence[str]) -> dict[str, Any]:
    """The fields of a request; -F reads a file."""
    found: dict[str, Any] = {}
    for flag, text in itertools.pairwise(arguments):
        if flag in ("-f", "-F"):
            name, _, value = text.partition("=")
            found[name] = Path(value[1:]).read_text() if flag == "-F" and value[:1] == "@" else value
    return found


def _one(items: list[Any], key: str, value: str) -> Any:
    return next(item for item in items if item[key] == int(value))


def _add(items: list[Any], key: str, more: Mapping[str, Any]) -> None:
    items.append({key: len(items) + 1, "user": {"login": BOT}, **more})


def _labelled(state: State, given: Mapping[str, Any], _: str) -> None:
    state["labels"].append(given["labels[]"])


def _unlabelled(state: State, _: Mapping[str, Any], name: str) -> None:
    if name not in state["labels"]:
        sys.exit(1)
    state["labels"].remove(name)


Route = Callable[[State, Mapping[str, Any], str], None]
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("POST", r"issues/(\d+)/labels", _labelled),
    ("DELETE", r"issues/\d+/labels/(.+)", _unlabelled),
    ("POST", r"issues/(\d+)/comments", lambda s, f, n: _add(s["comments"], "id", {"of": int(n), **f})),
    ("PATCH", r"issues/comments/(\d+)", lambda s, f, n: _one(s["comments"], "id", n).update(f)),
    ("POST", r"issues()", lambda s, f, _: _add(s["issues"], "number", {"state": "open", **f})),
    ("PATCH", r"issues/(\d+)", lambda s, f, n: _one(s["issues"], "number", n).update(f)),
)


def _listed(state: State, path: str, arguments: Sequence[str]) -> None:
    """Print what a filter selects of a list."""
    assert "--paginate" in arguments
    path, _, options = path.partition("?")
    if path.endswith("/comments"):
        items = state["comments"]
    else:
        assert (path.rpartition("/")[2], "state=open" in options) == ("issues", True)
        items = [issue for issue in state["issues"] if issue["state"] == "open"]
    for found in jq.compile(arguments[arguments.index("--jq") + 1]).input_value(items):
        sys.stdout.write(f"{found}\n")


def main(store: Path, arguments: Sequence[str]) -> None:
    """Answer one call; what no workflow asks for fails."""
    state: State = json.loads(store.read_text())
    if arguments[:2] == ["release", "create"]:
        rest = list(arguments[2:])
        assert "--verify-tag" in rest
        notes = Path(rest[rest.index("--notes-file") + 1])
        files = rest[rest.index("--notes-file") + 2 :]
        assert all(Path(file).is_file() for file in files)
        release = {"tag": rest[0], "notes": notes.read_text(), "files": [Path(file).name for file in files]}
        state["releases"].append(release)
    else:
        assert arguments[0] == "api"
        (path,) = [each for each in arguments if each.startswith("repos/")]
        path = urllib.parse.unquote(path.split("/", 3)[3])
        if "--method" not in arguments:
            _listed(state, path, arguments)
            return
        method = arguments[arguments.index("--method") + 1]
        found = [
            (each, matched)
            for verb, pattern, each in ROUTES
            if verb == method and (matched := re.fullmatch(pattern, path))
        ]
        assert found, (method, path)
        ((route, matched),) = found
        route(state, fields(arguments), matched[1])
    store.write_text(json.dumps(state))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
