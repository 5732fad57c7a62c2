"""Make the AWS bindings cheap to import, and JSII quiet.

`from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue` first runs the package's own
`__init__`, which imports some 2,100 resource modules (8 s). Nothing here needs that root:
a bare package registered under its name first lets each resource module load alone. The
synthesised files are byte-identical either way.
"""

import importlib.util
import os
import sys
import types
from typing import Final

PROVIDER_PACKAGE: Final = "cdktf_cdktf_provider_aws"

# JSII prints a banner once a Node.js release has passed its end of life. It takes a list of
# the major versions to be quiet about; Node.js 20 is the oldest that this project supports.
_QUIET_NODE_RELEASES: Final = ",".join(str(major) for major in range(20, 40))
_JSII_ENVIRONMENT: Final = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": _QUIET_NODE_RELEASES,
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
}


def prepare() -> None:
    """Register the bare provider package and silence JSII's Node.js banners.

    Must run before the first import of cdktf or of a provider module: the package `infra` calls
    it when it loads. Calling it again does nothing.
    """
    for name, value in _JSII_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
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
