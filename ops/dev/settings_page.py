"""docs/settings.md: every setting as it is declared, and what differs between the environments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from infra import settings
from infra.settings_source import Declaration, declarations, toml_file

# By the end of a setting's name.
_UNITS: Final = {
    "_per_second": "per second",
    "_days": "days",
    "_minutes": "minutes",
    "_seconds": "seconds",
    "_mb": "MiB",
}
_HEAD: Final = """\
# Settings

`make docs` writes this page from [`infra/settings/`](../infra/settings); a test says when it is stale.

An environment variable wins over the file of an environment, such as `environments/dev.toml`, that over
[`environments/common.toml`](../environments/common.toml), and that over the default.
`environments/bootstrap.toml` has the settings of the state's bucket and of GitHub. A variable separates the
items of a list with commas. [deploy.md](deploy.md) says how to add an environment.
"""


def text() -> str:
    """Return the page."""
    rows = (_row(declared) for declared in declarations(settings.Settings))
    return "\n".join(
        [
            _HEAD,
            *_table(("Setting and variable", "Type", "Limits", "Default", "Meaning"), rows),
            "",
            "## What differs between the environments",
            "",
            "An empty cell: the environment has the value of `common.toml`, or else the default.",
            "",
            *_differences(),
            "",
        ]
    )


def _row(declared: Declaration) -> tuple[str, ...]:
    field = declared.field
    default = "required" if field.is_required() else _value(field.get_default())
    name = f"`{declared.name}`<br>`{declared.variable}`"
    return name, _type(declared), _limits(field.metadata), default, field.description or ""


def _type(declared: Declaration) -> str:
    annotation = declared.field.annotation
    options = getattr(annotation, "__args__", ())
    if options and all(isinstance(option, str) for option in options):
        return "one of " + ", ".join(f"`{option}`" for option in options)
    unit = next((unit for suffix, unit in _UNITS.items() if declared.name.endswith(suffix)), "")
    kinds: dict[Any, str] = {int: "integer", bool: "`true` or `false`", str: "string"}
    return ", ".join(part for part in (kinds.get(annotation, "list of strings"), unit) if part)


def _limits(metadata: Iterable[Any]) -> str:
    """The range or the pattern; what depends on other settings is in the meaning."""
    found = {
        name: getattr(each, name)
        for each in metadata
        for name in ("ge", "le", "pattern")
        if getattr(each, name, None) is not None
    }
    if "pattern" in found:
        return _value(found["pattern"])
    if "ge" in found and "le" in found:
        return f"{found['ge']} to {found['le']}"
    return f"{found['ge']} or more" if "ge" in found else ""


def _differences() -> Iterator[str]:
    names = ("common", *settings.environments())
    files = [toml_file(settings.FOLDER / f"{name}.toml").values for name in names]
    differing = sorted({name for values in files[1:] for name in values})
    rows = (
        (f"`{name}`", *(_value(values[name]) if name in values else "" for values in files))
        for name in differing
    )
    return _table(("Setting", *(f"`{name}.toml`" for name in names)), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |".replace("|  |", "| |").replace("|  |", "| |")


def _value(value: object) -> str:
    """A value as TOML writes it, and as a cell of a table can contain it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(repr(each) for each in value)}]`"
    shown = f'"{value}"' if value == "" else str(value)
    return f"`{shown}`".replace("|", "\\|")
