"""Make the CDKTF bindings fast to load, and JSII quiet.

The bindings are used from a small copy that `infra.bindings` makes, and JSII runs one process of Node.js
instead of two, with scripts that an earlier one compiled. None of this changes a synthesised byte.
"""

import functools
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from infra import bindings
from infra.errors import InfraError

_HOST: Final = Path(__file__).with_name("jsii_host.cjs")
# The variable with the path of the file in which Node.js keeps compiled scripts.
_CODE: Final = "SYNTH_COMPILED_SCRIPTS"

# JSII prints a banner for a Node.js release after its end of life, except for the major versions in this
# list. Node.js 20 is the oldest that this project supports.
_QUIET_NODE_RELEASES: Final = ",".join(str(major) for major in range(20, 40))
_QUIET: Final = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": _QUIET_NODE_RELEASES,
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
}


@functools.cache
def prepare() -> Path:
    """Put the copy of the bindings on `sys.path`, and return it; `infra.resources` and others call this.

    Must come before the first import of a binding. Calling it again does nothing.

    Raises
    ------
    InfraError
        The copy cannot be made.
    ModuleNotFoundError
        The bindings are not installed.
    """
    try:
        folder = bindings.made(bindings.used(), bindings.FOLDER)
    except OSError as error:
        raise InfraError(f"cannot write to {bindings.FOLDER}: {error.strerror}; make it writable") from error
    sys.path.insert(0, str(folder))
    return folder


def start_jsii() -> None:
    """Start JSII's Node.js process with `jsii_host.cjs`, unless it runs already.

    Its environment variables are set for its start only, so that no other program inherits them.

    Raises
    ------
    InfraError
        Node.js is not on PATH, or the copy of the bindings cannot be made.
    """
    node = os.environ.get("JSII_NODE", "node")
    if shutil.which(node) is None:
        raise InfraError(f"{node} is not on PATH; install Node.js 20 or newer")
    own_options = os.environ.get("NODE_OPTIONS", "")
    host = str(_HOST).replace("\\", "\\\\").replace('"', '\\"')
    changed = {
        **_QUIET,
        "NODE_OPTIONS": f'{own_options} --preserve-symlinks --require "{host}"'.strip(),
        _CODE: str(prepare() / "compiled-scripts"),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        # Loading the first assembly starts the process.
        importlib.import_module("constructs._jsii")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
