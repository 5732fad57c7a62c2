"""docs/settings.md says what infra/settings declares and the files of the environments set."""

from __future__ import annotations

from infra import settings, settings_source
from ops import ROOT
from ops.dev import docs

PAGE = (ROOT / docs.SETTINGS).read_text(encoding="utf-8")


def test_the_page_is_what_the_settings_declare_now() -> None:
    assert docs.SETTINGS not in docs.stale(), f"{docs.SETTINGS} is stale: run `make docs`"


def test_the_page_names_each_setting_with_its_variable_limits_and_meaning() -> None:
    for declared in settings_source.declarations(settings.Settings):
        assert f"| `{declared.name}`<br>`{declared.variable}` |" in PAGE
        assert f"{declared.field.description} |" in PAGE
    assert "integer, seconds | 26 to 60 | `30` |" in PAGE
    assert "one of `off`, `report`, `heal` | | `off` |" in PAGE


def test_the_page_shows_what_differs_between_the_environments() -> None:
    differences = PAGE.partition("## What differs")[2]
    assert "| `huntaze_api_url` | | `https://api.dev.huntaze.com` |" in differences
    assert "| `livemode` | `false` |" in differences
    assert "aws_region" not in differences
