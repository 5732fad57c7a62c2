"""The documents lead nowhere that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ops import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def links(document: Path) -> list[str]:
    """The targets of a document's Markdown links, those in fenced code left out."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^()\s]+)\)", text)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_every_relative_link_leads_to_a_file_of_the_project(document: Path) -> None:
    for link in links(document):
        url = urlsplit(link)
        if url.scheme or not url.path:
            continue
        target = (document.parent / unquote(url.path)).resolve()
        assert target.is_relative_to(ROOT), link
        assert target.exists(), f"{document.name} links to {link}, which is not there"
        if url.fragment and target.suffix == ".md":
            assert url.fragment in anchors(target), f"{document.name} links to {link}: no such heading"


def test_the_readme_has_links_to_look_at() -> None:
    assert len(links(ROOT / "README.md")) > 10
