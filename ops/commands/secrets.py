"""`huntaze-stripe secrets`: write new values of the secrets without Terraform, and check what is stored."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from functions.shared.names import SECRET_KEYS, STRIPE_SECRET_KEY
from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import (
    PlainTable,
    ask_hidden,
    confirm,
    open_console,
    plural,
    print_json,
    print_line,
    require_terminal,
    styled,
)
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.environment import Environment
    from ops.keys import KeyCheck

COLOURS: Final[Mapping[str, str]] = {"refused": "red", "unreachable": "yellow", "missing": "red"}
# How a key begins that may do everything (Stripe, "API keys").
UNRESTRICTED: Final = "sk_"

Keys = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY", help=f"{', '.join(SECRET_KEYS)}; one or several.", autocompletion=lambda: SECRET_KEYS
    ),
]
Unchecked = Annotated[
    list[str] | None,
    typer.Option(
        "--unchecked",
        metavar="KEY",
        help="Do not ask the service of this value; repeatable. For example a "
        "database that only the VPC reaches.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Write and check the values of the secrets.")
    group.callback()(lambda: None)
    group.command()(push)
    group.command()(check)
    app.add_typer(group, name="secrets")


def push(
    keys: Keys = None,
    env: Env = DEFAULT_ENVIRONMENT,
    from_stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the value of the one KEY from standard input; needs --yes.")
    ] = False,
    unchecked: Unchecked = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write new values to the secrets, without Terraform, after each was accepted by a harmless call.

    A value comes from the environment variable of its name, as for `deploy`; else from a hidden prompt.
    Without KEY, everything that is exported is written.

    The functions read a new value at their next cold start, and as soon as the old one is refused: push the
    new one first, then revoke the old one. The next deploy keeps it.
    """
    chosen = _chosen(keys or _exported(), "KEY")
    if not chosen:
        raise OperatorError(f"missing KEY: name or export {', '.join(SECRET_KEYS)}", usage=True)
    if from_stdin and len(chosen) != 1:
        raise OperatorError("--stdin has one value: name one KEY", usage=True)
    skipped = _chosen(unchecked or (), "--unchecked")
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    from ops import environment as environments
    from ops import secret_values

    environment = environments.connect(env, bus=False)
    values = {key: _value(key, from_stdin=from_stdin) for key in chosen}
    found = _check_all(environment, values, skipped)
    if values.get(STRIPE_SECRET_KEY, "").startswith(UNRESTRICTED):
        print_line(
            f"note: {STRIPE_SECRET_KEY} is not restricted ({UNRESTRICTED}…), and may do more than the "
            "functions need: a restricted key (rk_…) that reads is enough (docs/deploy.md, step 3)",
            as_json=True,
        )
    console = open_console(as_json=as_json)
    written: dict[str, str] = {}
    if all(each.good for each in found) and not dry_run:
        confirm(f"Write {', '.join(chosen)} of {env}?", yes=yes, as_json=as_json)
        for key, value in values.items():
            written[key] = secret_values.write(environment, key, value)
            print_line(f"{key}: written", as_json=as_json)
    _show(
        console, found, as_json=as_json, extra={key: {"version": version} for key, version in written.items()}
    )
    if dry_run:
        print_line("dry run: nothing was changed", as_json=as_json)
    _require_good(
        found,
        "nothing was written: correct it, or name it in --unchecked if only the functions reach its service",
    )


def check(env: Env = DEFAULT_ENVIRONMENT, unchecked: Unchecked = None, as_json: Json = False) -> None:
    """Check that each secret is there, is not empty where it is needed, and is accepted; print no value."""
    skipped = _chosen(unchecked or (), "--unchecked")
    from ops import environment as environments
    from ops import secret_values

    environment = environments.connect(env, bus=False)
    found: list[KeyCheck] = []
    times_written: dict[str, Any] = {}
    for key in SECRET_KEYS:
        result, stored = secret_values.check(environment, key, ask=key not in skipped)
        found.append(result)
        if stored is not None:
            times_written[key] = {"written": times.stamp(stored.written), "version": stored.version}
    _show(open_console(as_json=as_json), found, as_json=as_json, extra=times_written)
    _require_good(found, f"write it with `huntaze-stripe secrets push --env {env} KEY`")


def _chosen(keys: Collection[str], what: str) -> list[str]:
    for key in keys:
        if key not in SECRET_KEYS:
            raise OperatorError(f"invalid {what} {key!r}: expected {', '.join(SECRET_KEYS)}", usage=True)
    return [key for key in SECRET_KEYS if key in keys]


def _exported() -> list[str]:
    return [key for key in SECRET_KEYS if _variable(key)]


def _variable(key: str) -> str:
    """Return the value that `deploy` would write, too."""
    from ops.terraform import operator_environment

    return operator_environment(os.environ).get(f"TF_VAR_{key}", "").strip()


def _value(key: str, *, from_stdin: bool) -> str:
    """Return a new value, which is shown nowhere.

    Raises
    ------
    OperatorError
        There is none.
    """
    if from_stdin:
        value = sys.stdin.readline().strip()
    elif not (value := _variable(key)):
        if not sys.stdin.isatty():
            raise OperatorError(f"{key} has no value: export it, or pass it to --stdin", usage=True)
        value = ask_hidden(key).strip()
    if not value:
        raise OperatorError(f"{key} is empty: `deploy` with TF_VAR_{key}= empties a value", usage=True)
    return value


def _check_all(
    environment: Environment, values: Mapping[str, str], skipped: Collection[str]
) -> list[KeyCheck]:
    from ops import keys

    return [
        keys.check(key, value, environment.settings, ask=key not in skipped) for key, value in values.items()
    ]


def _show(
    console: Any, found: Sequence[KeyCheck], *, as_json: bool, extra: Mapping[str, Mapping[str, str]]
) -> None:
    if as_json:
        print_json(
            [
                {"key": each.key, "state": each.state, "detail": each.detail, "good": each.good}
                | {"version": None}
                | dict(extra.get(each.key, {}))
                for each in found
            ]
        )
        return
    table = PlainTable("Secret", "State", "Written", "Detail", text=("Detail",))
    for each in found:
        written = extra.get(each.key, {}).get("written", "")
        table.add_row(each.key, styled(each.state, COLOURS.get(each.state, "green")), written, each.detail)
    console.print(table)


def _require_good(found: Sequence[KeyCheck], step: str) -> None:
    bad = [each.key for each in found if not each.good]
    if bad:
        raise OperatorError(f"{plural(len(bad), 'value')} not accepted ({', '.join(bad)}): {step}")
