"""Synthesise the Terraform of the environments: cdktf-cli's app, and a command by itself.

The composition root: settings, then function bundles, then stacks.
"""

import argparse
import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

_FAILED: Final = 1
_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143
_ROOT: Final = Path(__file__).resolve().parent
_PYTHON: Final = ".venv/bin/python"

try:
    from infra import settings, settings_source
    from infra.bundle import Bundles
    from infra.errors import IncompleteError, InfraError
    from ops.errors import OperatorError
    from ops.plain import plain
except ModuleNotFoundError as error:
    if __name__ != "__main__" or str(error.name).partition(".")[0] in ("infra", "ops", "functions"):
        raise
    step = "run" if (_ROOT / _PYTHON).exists() else "run `make setup`, then"
    sys.stderr.write(f"main.py: {sys.executable} has no {error.name}; {step} `{_PYTHON} main.py`\n")
    sys.exit(_FAILED)
except KeyboardInterrupt:
    sys.stderr.write("interrupted\n")
    sys.exit(_INTERRUPTED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise the stacks that are asked for.

    Returns
    -------
    int
        0; 2 where a setting, an option or the routing table is wrong; 1 where the bundles can't be
        built or the stacks not be written. One line says why.
    """
    options = _parser().parse_args(arguments)
    try:
        environments = _chosen(options.environments)
        bundles: dict[str, Bundles] = {chosen.environment: _bundles(chosen) for chosen in environments}
        # Loads the bindings and starts Node.js: a mistyped setting is told before that.
        from infra.app import synthesise

        state = settings.load_state()
        options.outdir.mkdir(parents=True, exist_ok=True)
        synthesise(options.outdir, state=state, environments=environments, bundles=bundles)
    except InfraError as error:
        _say(str(error))
        return _USAGE_ERROR
    except OperatorError as error:
        _say(str(error))
        return _FAILED
    except OSError as error:
        _say(f"can't write to {options.outdir}: {error.strerror}; choose another folder with --outdir")
        return _FAILED
    return 0


def run() -> int:
    """Run as a program: `main`, of which no signal leaves a traceback or a temporary folder.

    Returns
    -------
    int
        What `main` returns; 130 where somebody interrupted.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        _keep_temporary_files_in_the_checkout()
        return main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the way of an exception, so that Node.js is ended and the temporary folder removed."""
    sys.exit(_TERMINATED)


def _keep_temporary_files_in_the_checkout() -> None:
    """Give JSII, and what else is started, a temporary folder below build/ (or in a local run's own)."""
    build = _ROOT / "build"
    given = Path(tempfile.gettempdir()).resolve()
    parent = given if given.is_relative_to(build) else build
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="synth-", dir=parent)
    except OSError as error:
        _say(f"can't write to {parent}: {error.strerror}; make it writable")
        sys.exit(_FAILED)
    # JSII ends Node.js at exit, and registers that later: what is registered first comes last.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def _chosen(names: Sequence[str]) -> list[settings.Settings]:
    """The environments asked for, all of which must be complete; or else all that are complete."""
    if names:
        return [settings.load(name) for name in dict.fromkeys(names)]
    complete = []
    steps = []
    for name in settings.environments():
        try:
            complete.append(settings.load(name))
        except IncompleteError as error:
            _say(f"left out {name}: {error.fact}")
            steps.append(error.step)
    for step in dict.fromkeys(steps):
        _say(step)
    if len({each.stripe_event_source_name for each in complete}) < len(complete):
        together = ", ".join(each.environment for each in complete)
        _say(f"of {together} several name one event source: deploy one of them only")
    return complete


def _bundles(chosen: settings.Settings) -> Bundles:
    from ops import bundles

    # Lambda is Linux; the local run names this machine's system where that is another one.
    system = os.environ.get("BUNDLE_SYSTEM") or bundles.LAMBDA.system
    return bundles.build(bundles.Target(chosen.lambda_architecture, chosen.lambda_runtime, system))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PYTHON} main.py",
        description=(
            "Write the Terraform of the bootstrap stack and of each ENV to OUTDIR/stacks. "
            "Without ENV: of every environment whose file is complete; the others are told and left out."
        ),
        epilog="\n".join(
            ["settings, in environments/ENV.toml or as environment variables:", *_settings_help()]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "environments",
        metavar="ENV",
        nargs="*",
        help="name of a file in environments/, such as dev",
    )
    parser.add_argument(
        "--outdir",
        type=Path,
        default=settings.default_outdir(),
        help="folder to write to (default: %(default)s)",
    )
    return parser


def _settings_help() -> Iterator[str]:
    for declared in settings_source.declarations(settings.Settings):
        default = "required" if declared.field.is_required() else f"default {declared.field.get_default()!r}"
        yield f"  {declared.name} ({declared.variable}; {default})"
        yield f"      {declared.field.description}"


def _say(line: str) -> None:
    sys.stderr.write(f"main.py: {plain(line)}\n")


if __name__ == "__main__":
    sys.exit(run())
