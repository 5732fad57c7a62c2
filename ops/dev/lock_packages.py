"""Rewrite Pipfile.lock from Pipfile, without the addresses that pipenv writes into it.

The repository names no package index: the pip configuration of each machine decides.
"""

from __future__ import annotations

import json
import subprocess
import sys

from ops import ROOT
from ops.dev.install import SetupError, clean_environment, install_tool


def main() -> int:
    """Lock every category and strip `sources` and `index` from the result."""
    try:
        programs = install_tool("tools")
    except SetupError as error:
        sys.stderr.write(f"lock: {error}\n")
        return 1
    # pipenv itself is locked with its hashes, too.
    subprocess.run([programs / "pipenv", "lock"], cwd=ROOT, check=True, env=clean_environment())
    path = ROOT / "Pipfile.lock"
    lock = json.loads(path.read_text())
    lock["_meta"]["sources"] = []
    for category, packages in lock.items():
        if category != "_meta":
            for package in packages.values():
                package.pop("index", None)
    path.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
