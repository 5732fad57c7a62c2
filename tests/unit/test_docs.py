"""Files, headings and make targets that documents name exist; the French page has the same commands."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from functions import __version__
from ops import ROOT
from tests.documents import DOCUMENTS, IDS, OUTPUT, commands, text

# What only exists after a command has run, or that an operator creates.
MADE_LATER = {"functions/ledger/database-ca.pem", "environments/preview.toml", "environments/ENV.toml"}
# What AWS and Terraform say, and a command.
FROM_ELSEWHERE = {"ResourceAlreadyExistsException", "make bootstrap"}


def links(document: Path) -> list[str]:
    """The targets of a document's Markdown links, without those in fenced code."""
    prose = re.sub(r"^```.*?^```", "", text(document), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^()\s]+)\)", prose)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", text(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_relative_link_leads_to_a_file_of_the_project(document: Path) -> None:
    for link in links(document):
        url = urlsplit(link)
        if url.scheme:
            continue
        target = (document.parent / unquote(url.path)).resolve() if url.path else document
        assert target.is_relative_to(ROOT), link
        assert target.exists(), f"{document.name} links to {link}, which does not exist"
        if url.fragment and target.suffix == ".md":
            assert url.fragment in anchors(target), f"{document.name} links to {link}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_path_in_code_style_exists(document: Path) -> None:
    found = re.findall(
        r"`((?:functions|infra|ops|tests|environments|docs|\.github)/[\w./*-]*)`", text(document)
    )
    missing = [path for path in found if path not in MADE_LATER and not list(ROOT.glob(path.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_make_target_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    asked = {command.split()[1] for command in commands(document) if command.startswith("make ")}
    asked |= set(re.findall(r"`make ([a-z][a-z-]*)[^`]*`", text(document)))
    assert asked <= targets


@pytest.mark.parametrize("link", ["docs/events.md", "docs/operations.md", "CONTRIBUTING.md", "LICENSE"])
def test_the_readme_links_to(link: str) -> None:
    assert link in links(ROOT / "README.md")


def test_the_index_lists_every_page() -> None:
    listed = {link.partition("#")[0] for link in links(ROOT / "docs" / "README.md")}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= listed


def test_each_decision_is_numbered_indexed_and_says_the_way_out() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, start=1):
        title = text(page).splitlines()[0].removeprefix(f"# {number}. ")
        assert f"| {number} | [{title}]({page.name}) |" in text(folder / "README.md")
        assert {"context", "decision", "consequences", "way-out"} <= anchors(page), page.name


def test_the_first_pages_are_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 150
    assert 60 <= len(text(ROOT / "CONTRIBUTING.md").splitlines()) <= 120


def test_the_french_page_has_the_commands_of_the_english_one() -> None:
    assert commands(ROOT / "README.fr.md") == commands(ROOT / "README.md")
    [shown] = OUTPUT.findall(text(ROOT / "README.md"))
    assert OUTPUT.findall(text(ROOT / "README.fr.md")) == [shown]


def literals(path: Path) -> Iterator[str]:
    """The texts of a module, an f-string's with an ellipsis for each value."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield "".join(str(part) for part in parts)


def test_every_message_in_troubleshooting_is_one_that_the_code_has() -> None:
    page = text(ROOT / "docs" / "troubleshooting.md")
    cells = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ") and "`" in line]
    messages = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    code = "\n".join(
        literal
        for path in (*(ROOT / "ops").rglob("*.py"), *(ROOT / "infra").rglob("*.py"))
        for literal in literals(path)
    )
    assert len(messages) > 10
    for message in messages:
        # Between the values: an ellipsis, a setting's name or a variable's.
        for part in re.split(r"…|=|[A-Za-z]+_\w+", message):
            words = part.strip(" ;")
            assert words in code or message in FROM_ELSEWHERE, f"no message has {words!r}"


def test_the_layers_of_the_functions_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["name"].startswith("functions: no import"))
    page = text(ROOT / "docs" / "architecture.md")
    block = re.findall(r"^```\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[0]
    shown = [line.partition("  ")[0].split(", ") for line in block.splitlines()]
    assert shown == [layer.replace("functions.", "").split(" | ") for layer in layers]


def test_the_changelog_has_the_version() -> None:
    changes = text(ROOT / "CHANGELOG.md")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert versions[0] == __version__
