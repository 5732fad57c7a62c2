"""Make the AWS bindings fast to load, and JSII quiet.

A stack uses thirty of the some 2,100 resource modules, but the bindings load all of them: the package root in
Python (8 s) and the index in Node.js (1.4 s). With a bare package in `sys.modules` each Python module loads
alone, and a hook in Node.js does the same there. The synthesised files are byte-identical without both.
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

# JSII prints a banner for a Node.js release after its end of life, except for the major versions in this
# list. Node.js 20 is the oldest that this project supports.
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
    """Start JSII's Node.js process with the hook, unless it runs already.

    Its environment variables are set for its start only, so that no other program inherits them.

    Raises
    ------
    InfraError
        Node.js is not on PATH.
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
        # Loading the first assembly starts the process.
        importlib.import_module("constructs._jsii")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
