"""The sides that are compared: ours from its shipped bundle, and the peers as they would be deployed."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import packages, path
from bench.endpoint import Endpoint
from bench.function import Function
from bench.report import BARE, NODE, NODE_POWERTOOLS, OBVIOUS
from ops.bundles import build, host_target

NODE_PROGRAMS: Final = {NODE: "bare", NODE_POWERTOOLS: "powertools"}
EVERY_HANDLER: Final = "*"


@dataclass(frozen=True)
class Side:
    """One way from an event to the API.

    Parameters
    ----------
    functions
        By handler; a peer has one function for all events.
    zip_bytes
        Size of each deployment package.
    """

    functions: Mapping[str, Function]
    zip_bytes: Mapping[str, int]

    def function(self, handler: str) -> Function:
        """Return the function that applies the events of a handler."""
        return self.functions.get(handler) or self.functions[EVERY_HANDLER]


def ours(folder: Path, endpoint: Endpoint) -> Side:
    """Unpack the shipped bundle of the handlers below a folder."""
    sizes = {name: bundle.path.stat().st_size for name, bundle in build(host_target()).items()}
    return Side(path.shipped(folder, endpoint), sizes)


def in_python(peer: str, folder: Path, endpoint: Endpoint) -> Side:
    """Deploy a peer in Python below a folder.

    Raises
    ------
    OperatorError
        Pip can't install its packages.
    """
    task = packages.deployed(peer, packages.installed(host_target()), folder / peer)
    path.compiled(task, path.interpreter())
    size = zipped(task)
    function = path.function(f"bench.peers.{peer}", task, endpoint, peer)
    traced = {
        # The variables of Lambda that switch X-Ray on; this event is not sampled, like most.
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
    }
    return Side({EVERY_HANDLER: Function(function.command, {**function.environment, **traced})}, {peer: size})


def in_node(side: str, folder: Path, endpoint: Endpoint) -> Side:
    """Bundle a peer in Node.js.

    Raises
    ------
    OperatorError
        Node.js or npm is missing, or npm can't install the packages.
    """
    program = packages.node_programs()[NODE_PROGRAMS[side]]
    task = folder / side.replace(" ", "-")
    task.mkdir()
    shutil.copy(program, task)
    variables = path.environment(endpoint, side) | {"NODE_EXTRA_CA_CERTS": str(endpoint.certificate)}
    # By its own path: a shim would be measured too.
    node = subprocess.run(
        ["node", "-p", "process.execPath"], check=True, capture_output=True, text=True
    ).stdout.strip()
    command = (node, str(packages.PEERS / "node" / "invoke.cjs"), str(task / program.name))
    return Side({EVERY_HANDLER: Function(command, variables)}, {side: zipped(task)})


PEERS: Final = {
    OBVIOUS: in_python,
    BARE: in_python,
    NODE: in_node,
    NODE_POWERTOOLS: in_node,
}


def zipped(folder: Path) -> int:
    """Return the size of a folder as a ZIP file, in bytes."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return target.stat().st_size
