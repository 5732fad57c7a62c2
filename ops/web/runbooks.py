"""The pages of docs/runbooks as HTML, for whoever an alarm leads here."""

from __future__ import annotations

import re
from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

from ops import ROOT

FOLDER: Final = ROOT / "docs" / "runbooks"
NAME: Final = re.compile(r"[a-z][a-z-]*")
# Of another runbook; what leads elsewhere in the documents becomes text.
OTHER: Final = re.compile(r"(?P<name>[a-z][a-z-]*)\.md(#.*)?")


def html(name: str) -> Markup | None:
    """Return a runbook; None if there is no such page."""
    if not NAME.fullmatch(name) or not (FOLDER / f"{name}.md").is_file():
        return None
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                found = OTHER.fullmatch(str(child.attrs.get("href", "")))
                child.attrs = {"href": f"/runbooks/{found['name']}"} if found else {}
    # markdown-it escapes HTML of the file.
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704 - escaped
