"""Make the AWS bindings cheap to load, and JSII quiet.

The bindings hold some 2,100 resource modules, of which a stack uses thirty, and both of their
halves load them all: Python's package root (8 s) and Node.js's index (1.4 s). A bare package in
`sys.modules` lets each Python module load alone, and a hook preloaded into Node.js does the same
on the other side. The synthesised files are byte-identical with and without either.
"""

import importlib
import importlib.util
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Final

from infra.errors import InfraError

PROVIDER_PACKAGE: Final = "cdktf_cdktf_provider_aws"
_HOOK: Final = Path(__file__).with_name("lazy_provider.cjs")

# JSII prints a banner once a Node.js release has passed its end of life. It takes a list of
# the major versions to be quiet about; Node.js 20 is the oldest that this project supports.
_QUIET_NODE_RELEASES: Final = ",".join(str(major) for major in range(20, 40))
_QUIET: Final = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": _QUIET_NODE_RELEASES,
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
}


def prepare() -> None:
    """Register the bare provider package; `infra.resources` and `infra.constructs` call this as they load.

    Must come before the first import of a provider module. Calling it again does nothing.
    """
    if PROVIDER_PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(PROVIDER_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(
            f"{PROVIDER_PACKAGE} is not installed; run `make setup`", name=PROVIDER_PACKAGE
        )
    package = types.ModuleType(PROVIDER_PACKAGE)
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[PROVIDER_PACKAGE] = package


def start_jsii() -> None:
    """Start JSII's Node.js process with the hook, unless something has started it already.

    The variables that it reads are set for its start only: no other program that this one starts
    is to see them.

    Raises
    ------
    InfraError
        There is no Node.js.
    """
    node = os.environ.get("JSII_NODE", "node")
    if shutil.which(node) is None:
        raise InfraError(f"{node} is not on PATH; install Node.js 20 or newer")
    own_options = os.environ.get("NODE_OPTIONS", "")
    hook = str(_HOOK).replace("\\", "\\\\").replace('"', '\\"')
    changed = {**_QUIET, "NODE_OPTIONS": f'{own_options} --require "{hook}"'.strip()}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        # The first assembly that loads starts the process.
        importlib.import_module("constructs._jsii")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
