"""What a bundle is built for: a processor architecture and a Python runtime of Lambda."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

# Lambda's Python 3.12 and later run on Amazon Linux 2023, glibc 2.34.
GLIBC_TAGS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


@dataclass(frozen=True)
class Target:
    """A Lambda architecture (`arm64`, `x86_64`) and runtime (`python3.13`)."""

    architecture: str
    runtime: str

    @property
    def python(self) -> str:
        """The Python version, as in `3.13`."""
        return self.runtime.removeprefix("python")

    @property
    def name(self) -> str:
        """The name of the folder that takes the target's bundles."""
        return f"{self.architecture}-{self.runtime}"

    @property
    def is_host(self) -> bool:
        """Whether this interpreter, on this machine, can run it."""
        return self == host_target()

    def pip_options(self) -> list[str]:
        """Return the options with which pip picks wheels for it."""
        if self.is_host:
            return []
        options = ["--implementation", "cp", "--python-version", self.python]
        for tag in GLIBC_TAGS:
            options += ["--platform", f"{tag}_{MACHINES[self.architecture]}"]
        return options

    def markers(self) -> dict[str, str]:
        """Return what differs from this interpreter where a requirement's marker is evaluated."""
        if self.is_host:
            return {}
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "platform_machine": MACHINES[self.architecture],
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


LAMBDA = Target("arm64", "python3.13")


def host_target() -> Target:
    """Return the target that the embedded AWS runs functions on: this machine and interpreter."""
    architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    return Target(architecture, f"python{sys.version_info.major}.{sys.version_info.minor}")
