"""The checkout has one workspace for plans and deploys, which the tests of several workers use in turn."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from ops import ROOT


@contextmanager
def alone_in_checkout() -> Iterator[None]:
    """Wait until no other test uses the workspace of `ops.deploy.operator_workspace`, and have it alone."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with (build / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
