"""Read settings from TOML files and environment variables, and explain mistakes.

Every message is one line: the file or variable, the setting, its value, and the next step. The value of a URL
that may contain credentials is left out.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from infra.errors import IncompleteError, SettingsError

M = TypeVar("M", bound=BaseModel)

_HINT: Final = "hint"
_MAY_HOLD_CREDENTIALS: Final = "may_hold_credentials"
_VARIABLE: Final = "variable"
_PROBLEMS: Final = {
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list of strings",
    "model_type": "must be a table",
    "string_pattern_mismatch": "has the wrong format",
    "string_too_short": "must not be empty",
}


@dataclass(frozen=True)
class Source:
    """The values of one file, by dotted name."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Declaration:
    """One declared setting."""

    name: str
    field: FieldInfo

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        extra = self.field.json_schema_extra
        own = extra.get(_VARIABLE) if isinstance(extra, dict) else None
        return str(own) if own else self.name.replace(".", "_").upper()


def hint(text: str) -> dict[str, Any]:
    """Mark a field with the next step where it is missing or wrong."""
    return {_HINT: text}


def may_hold_credentials() -> dict[str, Any]:
    """Mark a field whose value is not shown if it has userinfo or a query."""
    return {_MAY_HOLD_CREDENTIALS: True}


def of_variable(name: str) -> dict[str, Any]:
    """Mark a field whose own name, as a variable, means something else where commands run."""
    return {_VARIABLE: name}


def declarations(model: type[BaseModel], prefix: str = "") -> Iterator[Declaration]:
    """The settings of a model that a file may contain; those of a table have its name and a dot in front."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from declarations(field.annotation, f"{prefix}{name}.")
        else:
            yield Declaration(f"{prefix}{name}", field)


def toml_file(path: Path) -> Source:
    """Read one file.

    Raises
    ------
    SettingsError
        The file does not exist, or is not TOML in UTF-8.
    """
    origin = f"{path.parent.name}/{path.name}"
    try:
        return Source(origin, dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")))))
    except FileNotFoundError:
        raise SettingsError(
            f"{origin}: the file does not exist; restore it, or copy another environment's file"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SettingsError(
            f"{origin}: line {line}: the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{origin}: invalid TOML: {error}; correct that line") from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or thousands of brackets.
        raise SettingsError(f"{origin}: a value is too long ({error}); correct it") from error


def build(
    model: type[M], *sources: Source, environ: Mapping[str, str], given: Mapping[str, Any] | None = None
) -> M:
    """Merge the sources: later ones win, and environment variables over all of them.

    An empty environment variable counts as unset, because continuous integration exports those.

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
        # A wrong value before a missing one: completing the file would not correct it.
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
    """Convert the text of a variable to the type of the setting; the model checks its limits."""
    annotation = declared.field.annotation
    if annotation not in (int, bool):
        is_list = isinstance(declared.field.get_default(), tuple)
        return [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    try:
        return TypeAdapter(annotation).validate_python(text)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        raise SettingsError(_explain(details, declared, declared.name, origin)) from error


def _dotted(location: tuple[int | str, ...], known: Mapping[str, Declaration]) -> str:
    """The setting of an error; that of an item of a list is the list."""
    parts = [str(part) for part in location]
    while len(parts) > 1 and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


def _unknown(origin: str, name: str, known: Mapping[str, Declaration]) -> str:
    table, _, leaf = name.rpartition(".")
    if table and leaf in known:
        return f'{origin}: "{leaf}" is in the table [{table}]; move it above the first table'
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    advice = f'did you mean "{nearest[0]}"?' if nearest else "docs/settings.md lists all settings"
    return f'{origin}: unknown setting "{name}"; {advice}'


def _explain(details: ErrorDetails, declared: Declaration | None, name: str, origin: str) -> str:
    step = f"; {_next_step(declared)}" if declared else ""
    if details["type"] == "value_error":
        problem = str(details["ctx"]["error"])
    elif details["type"] == "literal_error":
        problem = "is not allowed"
    else:
        problem = _PROBLEMS.get(details["type"], details["msg"].replace("Input should be", "must be"))
    # A table is shown without its values.
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
        return f"use one of {', '.join(options)}"
    if declared.field.annotation is bool:
        return "use true or false"
    examples = declared.field.examples or [declared.field.get_default()]
    return f"use for example {examples[0]!r} ({declared.field.description})"
