"""Read settings from TOML files and environment variables, and explain what is wrong with them.

Every message is one line: where the setting stands, its name, its value, and the next step. A URL that
may hold credentials is told without its value.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from infra.errors import IncompleteError, SettingsError

M = TypeVar("M", bound=BaseModel)

_HINT = "hint"
_MAY_HOLD_CREDENTIALS = "may_hold_credentials"
_PROBLEMS = {
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "string_type": "is not a text",
    "tuple_type": "is not a list of texts",
    "model_type": "is not a table",
    "string_pattern_mismatch": "has the wrong form",
    "string_too_short": "is empty",
}


@dataclass(frozen=True)
class Source:
    """Settings as one file declares them, by dotted name."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Declaration:
    """One setting as its model declares it."""

    name: str
    field: FieldInfo

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return self.name.replace(".", "_").upper()


def hint(text: str) -> dict[str, Any]:
    """Mark a field with the next step for an operator who lacks or mistypes it."""
    return {_HINT: text}


def may_hold_credentials() -> dict[str, Any]:
    """Mark a field of which no value with userinfo or a query may be shown."""
    return {_MAY_HOLD_CREDENTIALS: True}


def declarations(model: type[BaseModel], prefix: str = "") -> Iterator[Declaration]:
    """Each setting of a model that a file may hold, tables written with a dot."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from declarations(field.annotation, f"{prefix}{name}.")
        else:
            yield Declaration(f"{prefix}{name}", field)


def toml_file(path: Path) -> Source:
    """Read one file; raises SettingsError where it is missing or no TOML."""
    origin = f"{path.parent.name}/{path.name}"
    try:
        return Source(origin, dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")))))
    except FileNotFoundError:
        raise SettingsError(
            f"{origin}: the file does not exist; write it after another environment's file"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SettingsError(
            f"{origin}: line {line} holds the byte 0x{byte:02x}, which is no UTF-8; save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin}: this is no TOML: {error}; correct that line") from error


def build(
    model: type[M], *sources: Source, environ: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> M:
    """Merge the sources, later ones win, and the environment over all of them.

    An empty environment variable counts as unset: continuous integration exports those.

    Raises
    ------
    IncompleteError
        A required setting is missing.
    SettingsError
        A setting is unknown, of the wrong type or out of its limits.
    """
    known = {declared.name: declared for declared in declarations(model)}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in sources:
        for name, value in source.values.items():
            if value == {} and any(setting.startswith(f"{name}.") for setting in known):
                continue
            if name not in known:
                raise SettingsError(_unknown(source.origin, name, known))
            values[name], origins[name] = value, source.origin
    for name, declared in known.items():
        if text := environ.get(declared.variable, "").strip():
            origin = f"environment variable {declared.variable}"
            values[name], origins[name] = _parse(text, declared, origin), origin
    try:
        return model.model_validate(_nested(values) | dict(given or {}))
    except ValidationError as error:
        # A wrong value is told before a missing one: completing the file would not help it.
        details = min(error.errors(include_url=False), key=lambda found: found["type"] == "missing")
        name = _dotted(details["loc"], known)
        own_file = sources[-1].origin
        if details["type"] == "missing":
            raise IncompleteError(f"{own_file}: {name} is not set", _next_step(known[name])) from error
        origin = origins.get(name, own_file)
        raise SettingsError(_explain(details, known.get(name), name, origin)) from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *tables, leaf = name.split(".")
        table = tree
        for part in tables:
            table = table.setdefault(part, {})
        table[leaf] = value
    return tree


def _parse(text: str, declared: Declaration, origin: str) -> Any:
    """Turn a variable's text into the setting's type; limits are checked with the rest."""
    annotation = declared.field.annotation
    if annotation not in (int, bool):
        is_list = declared.field.get_default() == ()
        return [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    try:
        return TypeAdapter(annotation).validate_python(text)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        raise SettingsError(_explain(details, declared, declared.name, origin)) from error


def _dotted(location: tuple[int | str, ...], known: Mapping[str, Declaration]) -> str:
    """The setting that an error is about: an item of a list belongs to the list."""
    parts = [str(part) for part in location]
    while len(parts) > 1 and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


def _unknown(origin: str, name: str, known: Mapping[str, Declaration]) -> str:
    table, _, leaf = name.rpartition(".")
    if table and leaf in known:
        return f'{origin}: "{leaf}" stands under [{table}]; move it above the first table'
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    everything = "`.venv/bin/python main.py --help` lists all settings"
    advice = f'did you mean "{nearest[0]}"?' if nearest else everything
    return f'{origin}: "{name}" is no setting; {advice}'


def _explain(details: ErrorDetails, declared: Declaration | None, name: str, origin: str) -> str:
    step = f"; {_next_step(declared)}" if declared else ""
    if details["type"] == "value_error":
        problem = str(details["ctx"]["error"])
    elif details["type"] == "literal_error":
        problem = "is not one of the allowed values"
    else:
        problem = _PROBLEMS.get(details["type"], details["msg"].replace("Input should be", "should be"))
    # A table is told without its values; the problem names the one that is meant.
    value = f" = {_shown(details['input'], declared)}" if declared else ""
    return f"{origin}: {name}{value} {problem}{step}"


def _shown(value: object, declared: Declaration) -> str:
    extra = declared.field.json_schema_extra
    marked = isinstance(extra, dict) and _MAY_HOLD_CREDENTIALS in extra
    return "***" if marked and any(sign in str(value) for sign in "@?") else repr(value)


def _next_step(declared: Declaration) -> str:
    extra = declared.field.json_schema_extra
    if isinstance(extra, dict) and _HINT in extra:
        return str(extra[_HINT])
    options = getattr(declared.field.annotation, "__args__", ())
    if options and all(isinstance(option, str) for option in options):
        return f"write one of {', '.join(options)}"
    if declared.field.annotation is bool:
        return "write true or false"
    examples = declared.field.examples or [declared.field.get_default()]
    return f"write for example {examples[0]!r} ({declared.field.description})"
