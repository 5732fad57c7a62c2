"""Replace the code of deployed functions as `UpdateFunctionCode` does, without building their bundles again.

A bundle is the locked packages, our modules and bytecode of both. Of a bundle that is deployed, only our
modules that differ from the checkout are replaced.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ops import ROOT
from ops.bundles import Target
from ops.bundles.builder import AUTHORITIES, compile_sources, own_files
from ops.bundles.contents import BUNDLES, PACKAGE
from ops.bundles.interpreter import find_interpreter
from ops.errors import OperatorError
from ops.local.clients import Aws

# Nothing is sent over a network: writing must be fast.
LEVEL: Final = 1


class LiveCode:
    """The code of the functions of one deployment.

    Parameters
    ----------
    functions
        The ARN of each function, by its family.
    bundles
        The deployed zips, by the names of `ops.bundles.contents.BUNDLES`.
    target
        What they are built for.
    """

    def __init__(
        self, aws: Aws, functions: Mapping[str, str], bundles: Mapping[str, Path], target: Target
    ) -> None:
        self._lambda: Any = aws.client("lambda")
        self._interpreter = find_interpreter(target)
        self._functions = {
            name: [functions[family] for family in _families(name) if family in functions] for name in BUNDLES
        }
        self._deployed = {name: _Zip.read(path) for name, path in bundles.items()}
        self._kept = {name: path.read_bytes() for name, path in bundles.items()}
        # Code that is neither a bundle's nor put here counts as unknown: whatever is wanted replaces it.
        self._live = {name: whole if self._runs(name, whole) else b"" for name, whole in self._kept.items()}

    def replace(self) -> list[str]:
        """Make the checkout's modules live; return the names of the functions whose code changed.

        Raises
        ------
        OperatorError
            A module does not compile; all functions keep their code.
        """
        return self._put({name: self._built(deployed) for name, deployed in self._deployed.items()})

    def keep(self) -> None:
        """Regard the live code as good: `go_back` returns to it."""
        self._kept = dict(self._live)

    def go_back(self) -> list[str]:
        """Make the code live again that was kept last; return the names of the functions."""
        return self._put(self._kept)

    def _put(self, wanted: Mapping[str, bytes]) -> list[str]:
        changed = []
        for name, content in wanted.items():
            if content == self._live[name]:
                continue
            for arn in self._functions[name]:
                answer = self._lambda.update_function_code(FunctionName=arn, ZipFile=content)
                if answer["CodeSha256"] != _digest(content):
                    raise OperatorError(f"{arn} has other code than was sent: repeat the save")
                changed.append(arn.rpartition(":")[2])
            self._live[name] = content
        return changed

    def _runs(self, bundle: str, content: bytes) -> bool:
        """Return whether all functions of a bundle have this code."""
        found = (self._lambda.get_function_configuration(FunctionName=arn) for arn in self._functions[bundle])
        return all(configuration["CodeSha256"] == _digest(content) for configuration in found)

    def _built(self, deployed: _Zip) -> bytes:
        files = dict(own_files(ROOT))
        current = {name: path.read_bytes() for name, path in files.items()}
        edited = {name: content for name, content in current.items() if deployed.own.get(name) != content}
        gone = deployed.own.keys() - current.keys()
        if not edited and not gone:
            return deployed.whole
        with tempfile.TemporaryDirectory() as scratch:
            site = Path(scratch)
            for name in edited:
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(files[name], site / name)
            (site / PACKAGE).mkdir(exist_ok=True)
            if self._interpreter is not None:
                compile_sources(self._interpreter, site)
            compiled = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*.pyc")}
        return deployed.with_modules({**edited, **compiled}, gone | edited.keys())


class _Zip:
    """A deployed zip: our modules apart from everything else."""

    def __init__(
        self, whole: bytes, own: Mapping[str, bytes], bytecode: Mapping[str, bytes], rest: bytes
    ) -> None:
        self.whole = whole
        self.own = own
        self._bytecode = bytecode
        self._rest = rest

    @classmethod
    def read(cls, path: Path) -> _Zip:
        whole = path.read_bytes()
        own: dict[str, bytes] = {}
        bytecode: dict[str, bytes] = {}
        rest = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(whole)) as source,
            zipfile.ZipFile(rest, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as others,
        ):
            for entry in source.infolist():
                ours = entry.filename.startswith(f"{PACKAGE}/")
                if not ours or entry.filename.startswith(f"{AUTHORITIES}/"):
                    others.writestr(entry, source.read(entry), compresslevel=LEVEL)
                elif entry.filename.endswith(".pyc"):
                    bytecode[entry.filename] = source.read(entry)
                else:
                    own[entry.filename] = source.read(entry)
        return cls(whole, own, bytecode, rest.getvalue())

    def with_modules(self, files: Mapping[str, bytes], replaced: frozenset[str] | set[str]) -> bytes:
        """Return the zip with other files of ours; bytecode of a replaced module is left out."""
        ours = {name: content for name, content in self.own.items() if name not in replaced}
        ours |= {name: content for name, content in self._bytecode.items() if _source(name) not in replaced}
        whole = io.BytesIO(self._rest)
        with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for name, content in sorted({**ours, **files}.items()):
                # A fixed time: the same files give the same zip.
                archive.writestr(zipfile.ZipInfo(name), content, compresslevel=LEVEL)
        return whole.getvalue()


def _digest(content: bytes) -> str:
    """Return a zip's SHA-256 as Lambda writes it."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _source(bytecode: str) -> str:
    """Return the name of the module's source: `a/__pycache__/b.cpython-313.pyc` is of `a/b.py`."""
    folder, _, name = bytecode.rpartition("/__pycache__/")
    return f"{folder}/{name.partition('.')[0]}.py"


def _families(bundle: str) -> list[str]:
    return [module.rpartition(".")[2] for module in BUNDLES[bundle]]
