"""Synthesise the Terraform of the environments: the app of cdktf-cli, and a program by itself.

It loads the settings, builds the function bundles, and writes the stacks.
"""

if __name__ == "__main__":
    # Before the other imports, which take a tenth of a second.
    import _signal  # type: ignore[import-not-found] # typeshed leaves it out
    import posix

    _signal.signal(_signal.SIGINT, lambda *_: (posix.write(2, b"interrupted\n"), posix._exit(130)))

import argparse
import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ops import ROOT, signals

_PYTHON: Final = ".venv/bin/python"

if __name__ == "__main__":
    signals.exit_at_once()
    # The process ends within seconds, and until then next to nothing is garbage.
    gc.disable()
try:
    from infra import settings, settings_source
    from infra.bundle import Bundles
    from infra.errors import IncompleteError, InfraError
    from ops.errors import OperatorError
    from ops.plain import plain
except ModuleNotFoundError as error:
    if __name__ != "__main__" or str(error.name).partition(".")[0] in ("infra", "ops", "functions"):
        raise
    step = "run" if (ROOT / _PYTHON).exists() else "run `make setup`, then"
    sys.stderr.write(f"main.py: {sys.executable} has no {error.name}; {step} `{_PYTHON} main.py`\n")
    sys.exit(signals.FAILED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise the stacks of the named environments.

    Returns
    -------
    int
        The exit code: 0; 2 if a setting, an option or the routing table is wrong; 1 if the bundles cannot be
        built or the stacks cannot be written. One line on stderr says why.
    """
    options = _parser().parse_args(arguments)
    try:
        environments = _chosen(options.environments)
        bundles: dict[str, Bundles] = {chosen.environment: _bundles(chosen) for chosen in environments}
        # Late, because it loads the bindings and starts Node.js: a wrong setting is reported before that.
        from infra.app import synthesise

        state = settings.load_state()
        options.outdir.mkdir(parents=True, exist_ok=True)
        deployed = settings.load_deployed(state)
        synthesise(options.outdir, state=state, environments=environments, bundles=bundles, deployed=deployed)
    except InfraError as error:
        _say(str(error))
        return signals.USAGE
    except OperatorError as error:
        _say(str(error))
        return signals.FAILED
    except OSError as error:
        _say(f"cannot write to {options.outdir}: {error.strerror}; choose another folder with --outdir")
        return signals.FAILED
    return 0


def run() -> int:
    """Run `main` as a program; a signal leaves neither a traceback nor a temporary folder.

    Returns
    -------
    int
        The exit code of `main`; 130 after SIGINT.
    """
    signals.raise_exceptions()
    try:
        _keep_temporary_files_in_the_checkout()
        code = main()
        signals.ignore_interrupts()
    except BaseException:
        signals.ignore_interrupts()
        if not signals.interrupted():
            raise
        sys.stderr.write("interrupted\n")
        return signals.INTERRUPTED
    return code


def _keep_temporary_files_in_the_checkout() -> None:
    """Give JSII and other programs a temporary folder below build/, or in the one of a local run."""
    build = ROOT / "build"
    given = Path(tempfile.gettempdir()).resolve()
    parent = given if given.is_relative_to(build) else build
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="synth-", dir=parent)
    except OSError as error:
        _say(f"cannot write to {parent}: {error.strerror}; make it writable")
        sys.exit(signals.FAILED)
    # Python calls this after JSII has ended Node.js, because it is registered first.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def _chosen(names: Sequence[str]) -> list[settings.Settings]:
    """The named environments, which must be complete; without names, all that are complete."""
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
        _say(f"several of {together} have the same event source; deploy only one of them")
    return complete


def _bundles(chosen: settings.Settings) -> Bundles:
    from ops import bundles

    # Lambda runs on Linux; a local run sets the system of this machine.
    system = os.environ.get("BUNDLE_SYSTEM") or bundles.LAMBDA.system
    return bundles.build(bundles.Target(chosen.lambda_architecture, chosen.lambda_runtime, system))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PYTHON} main.py",
        description=(
            "Write the Terraform of the bootstrap stack and of each ENV to OUTDIR/stacks. "
            "Without ENV: of every environment whose file is complete; the others are listed and left out."
        ),
        epilog="\n".join(
            ["settings, in environments/*.toml or as environment variables:", *_settings_help()]
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
