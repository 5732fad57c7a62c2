"""`python -m ops.dev.release TAG`: what a release consists of, in build/release.

`notes.md` is the version's section of CHANGELOG.md. Below `files` are the function bundles of each
architecture, the bill of materials of their packages (CycloneDX), and the SHA-256 of all of them. The same
commit gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from functions import __version__
from ops import ROOT, bundles
from ops.bundles.target import MACHINES
from ops.console import print_error, print_line
from ops.dev.install import SetupError, install_tool
from ops.errors import OperatorError
from ops.signals import FAILED

FOLDER: Final = ROOT / "build" / "release"
SUMS: Final = "SHA256SUMS"
SBOM: Final = "functions.cdx.json"
# The category of Pipfile.lock with the tool that writes the bill of materials.
_TOOL: Final = "release"
# Characters of the tool's words in an error.
_LONGEST: Final = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the notes and the files of a release, print the SHA-256 of each, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.dev.release", description=main.__doc__)
    parser.add_argument("tag", metavar="TAG", help=f"v{__version__} in this checkout")
    options = parser.parse_args(arguments)
    try:
        text = notes(options.tag, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
        files = FOLDER / "files"
        shutil.rmtree(FOLDER, ignore_errors=True)
        files.mkdir(parents=True)
        (FOLDER / "notes.md").write_text(text, encoding="utf-8")
        _copy_bundles(files)
        _write_sbom(files / SBOM)
    except (OperatorError, SetupError) as error:
        print_error(f"release: {error}")
        return FAILED
    sums = list(_sums(files))
    (files / SUMS).write_text("".join(f"{line}\n" for line in sums))
    for line in sums:
        print_line(line)
    return 0


def notes(tag: str, changelog: str) -> str:
    """Return the section of a tag's version.

    Raises
    ------
    OperatorError
        The tag is not this checkout's version, or the changelog has no dated section of it.
    """
    if tag != f"v{__version__}":
        raise OperatorError(
            f"the tag is {tag}, and this checkout is version {__version__}: tag the commit that has the "
            "version in functions/__init__.py"
        )
    heading = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d\n"
    found = re.search(rf"{heading}(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise OperatorError(
            f"CHANGELOG.md has no section `## [{__version__}] - DATE`: give what is below [Unreleased] that "
            "heading"
        )
    return found[1].strip() + "\n"


def _copy_bundles(folder: Path) -> None:
    runtime = bundles.LAMBDA.runtime
    for architecture in sorted(MACHINES):
        built = bundles.build(bundles.Target(architecture, runtime), print_error)
        for name, bundle in built.items():
            shutil.copyfile(bundle.path, folder / f"{name}-{__version__}-{runtime}-{architecture}.zip")


def _write_sbom(file: Path) -> None:
    """List the packages of the bundles, as Pipfile.lock has them."""
    program = install_tool(_TOOL) / "cyclonedx-py"
    options = ("--categories", "functions", "--pyproject", "pyproject.toml", "--output-reproducible")
    command = [str(program), "pipenv", *options, "--output-format", "JSON", "--output-file", str(file)]
    # It warns that nothing says which package needs which: Pipfile.lock does not.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperatorError(f"cyclonedx-py wrote no bill of materials: {done.stderr.strip()[-_LONGEST:]}")


def _sums(folder: Path) -> Iterator[str]:
    """Yield a line for each file, as `sha256sum --check` reads it."""
    for file in sorted(folder.iterdir()):
        yield f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"


if __name__ == "__main__":
    sys.exit(main())
