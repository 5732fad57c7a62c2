"""Synthesise the Terraform of the environments: cdktf-cli's app, and a command by itself.

The composition root: settings, then function bundles, then stacks.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from infra import settings, settings_source
from infra.bundle import Bundles
from infra.errors import IncompleteError, InfraError
from infra.names import ENVIRONMENTS
from ops.errors import OperatorError

_FAILED: Final = 1
_USAGE_ERROR: Final = 2


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


def _chosen(names: Sequence[str]) -> list[settings.Settings]:
    """The environments asked for, all of which must be complete; or else all that are complete."""
    if names:
        return [settings.load(name) for name in dict.fromkeys(names)]
    complete = []
    steps = []
    for name in ENVIRONMENTS:
        try:
            complete.append(settings.load(name))
        except IncompleteError as error:
            _say(f"left out {name}: {error.fact}")
            steps.append(error.step)
    for step in dict.fromkeys(steps):
        _say(step)
    return complete


def _bundles(chosen: settings.Settings) -> Bundles:
    from ops import bundles

    # Lambda is Linux; the local run names this machine's system where that is another one.
    system = os.environ.get("BUNDLE_SYSTEM") or bundles.LAMBDA.system
    return bundles.build(bundles.Target(chosen.lambda_architecture, chosen.lambda_runtime, system))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python main.py",
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
        help=f"one or more of {', '.join(ENVIRONMENTS)}",
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
    sys.stderr.write(f"main.py: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
