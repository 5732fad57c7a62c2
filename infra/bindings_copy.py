"""Make a copy of installed CDKTF bindings that loads fast, and gives the same Terraform.

It leaves out modules, in Python and in the archives that Node.js loads, and what is there for people and for
callers without a type checker: docstrings, the values of annotations, checks of each argument's type. It
depends on the installed packages and on the names of the modules only.
"""

import __future__

import fcntl
import gzip
import importlib.util
import io
import json
import marshal
import re
import shutil
import tarfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

# Modules of one package by their names; all of a package that is not listed.
Chosen = Mapping[str, Collection[str]]

_DRAFT: Final = "making-"
# Without assertions, `if __debug__` and docstrings.
_OPTIMIZE: Final = 2
# Of the module that only the checks use, which takes long to import, and asks for its version each time.
_CHECKER: Final = re.compile(r"^(import typeguard|TYPEGUARD_MAJOR_VERSION = .*)$", re.MULTILINE)
# A package of which modules are left out; they are found in the installed one.
_ROOT: Final = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
_ASSEMBLY: Final = "package/.jsii"
_INDEX: Final = "package/lib/index.js"
_EXPORT: Final = re.compile(r"""^exports\.(\w+) = require\(['"]\./([^'"]+)['"]\);\n""", re.MULTILINE)
_SOURCE_MAP: Final = re.compile(rb"^//# sourceMappingURL=data:.*\n?", re.MULTILINE)


def make(packages: Sequence[Path], copy: Path, chosen: Chosen) -> None:
    """Copy installed packages into a folder, whole or not at all.

    Parameters
    ----------
    chosen
        The modules to copy of a package, by the package's name; all modules of the other packages.

    Raises
    ------
    OSError
        A package cannot be read, or the folder cannot be written.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    with (copy.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Under the lock no other process makes one: a killed process left these.
        for left in copy.parent.glob(f"{_DRAFT}*"):
            shutil.rmtree(left)
        if copy.is_dir():
            return
        draft = copy.with_name(_DRAFT + copy.name)
        for package in packages:
            modules = chosen.get(package.name)
            _copy_modules(package, draft / package.name, modules)
            for archive in package.glob("_jsii/*.tgz"):
                _copy_archive(archive, draft / package.name / "_jsii" / archive.name, modules)
        draft.rename(copy)


def _copy_modules(package: Path, target: Path, modules: Collection[str] | None) -> None:
    """Compile modules of a package to bytecode, which is imported without source."""
    folders = [package] if modules is None else [package / name for name in ("_jsii", *modules)]
    for source in (path for folder in folders for path in folder.rglob("*.py")):
        text = _CHECKER.sub("", source.read_text(encoding="utf-8"))
        _compile(text, source, target / source.relative_to(package).with_suffix(".pyc"))
    if modules is not None:
        _compile(_ROOT, package / "__init__.py", target / "__init__.pyc")


def _compile(text: str, source: Path, target: Path) -> None:
    flags = __future__.annotations.compiler_flag
    code = compile(text, str(source), "exec", flags=flags, dont_inherit=True, optimize=_OPTIMIZE)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Flags, the source's time and its size, which follow the magic number, are 0 where no source is.
    target.write_bytes(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))


def _copy_archive(source: Path, target: Path, modules: Collection[str] | None) -> None:
    """Copy what JSII loads; the same input gives the same bytes, for which JSII keeps one unpacked folder."""
    with tarfile.open(source, "r:gz") as archive:
        files = {
            member.name: reader.read()
            for member in archive
            if _is_needed(member.name, modules) and (reader := archive.extractfile(member)) is not None
        }
    if modules is not None:
        index = files[_INDEX].decode()
        spaces = {name for name, folder in _EXPORT.findall(index) if folder.replace("-", "_") in modules}
        files[_INDEX] = _EXPORT.sub(lambda line: line[0] if line[1] in spaces else "", index).encode()
        files[_ASSEMBLY] = _types_of(spaces, files[_ASSEMBLY])
    with gzip.GzipFile(target, "wb", mtime=0) as out, tarfile.open(fileobj=out, mode="w") as copy:
        for name, content in files.items():
            kept = _SOURCE_MAP.sub(b"", content) if name.endswith(".js") else content
            member = tarfile.TarInfo(name)
            member.size = len(kept)
            copy.addfile(member, io.BytesIO(kept))


def _is_needed(name: str, modules: Collection[str] | None) -> bool:
    if name.endswith((".d.ts", ".md")):
        return False
    # package/lib/sqs-queue/index.js is of the module sqs_queue.
    of_module = name.startswith("package/lib/") and name != _INDEX
    return modules is None or not of_module or name.split("/")[2].replace("-", "_") in modules


def _types_of(spaces: Collection[str], assembly: bytes) -> bytes:
    """Return JSII's description of types with those of some namespaces only."""

    def kept(value: dict[str, Any]) -> dict[str, Any] | None:
        # Only the description of a type names its assembly.
        return None if "assembly" in value and value.get("namespace") not in spaces else value

    # Other types are dropped while they are read: all of them together take 700 MB.
    document = json.loads(assembly, object_hook=kept)
    document["types"] = {name: value for name, value in document["types"].items() if value is not None}
    return json.dumps(document).encode()
