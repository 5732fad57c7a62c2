"""The target of a bundle: a processor architecture and a Python runtime of Lambda."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Oldest first, so that pip selects the wheel that runs on most systems. Lambda's Python 3.12 and later have
# glibc 2.34 (Amazon Linux 2023), Python 3.11 has 2.26.
GLIBC_TAGS: Final = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
MACHINES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
LINUX: Final = "linux"


@dataclass(frozen=True)
class Target:
    """A Lambda architecture (`arm64`, `x86_64`) and runtime (`python3.13`).

    `system` differs from Lambda's `linux` only if the functions run on a machine of another kind. Pip then
    selects the wheels of that machine for the runtime's Python.
    """

    architecture: str
    runtime: str
    system: str = LINUX

    @property
    def python(self) -> str:
        """The Python version, as in `3.13`."""
        return self.runtime.removeprefix("python")

    @property
    def name(self) -> str:
        """The name of the folder for the target's bundles."""
        name = f"{self.architecture}-{self.runtime}"
        return name if self.system == LINUX else f"{name}-{self.system}"

    def pip_options(self) -> list[str]:
        """Return the options with which pip selects the target's wheels on every machine."""
        options = ["--implementation", "cp", "--python-version", self.python]
        for tag in GLIBC_TAGS if self.system == LINUX else ():
            options += ["--platform", f"{tag}_{MACHINES[self.architecture]}"]
        return options

    def markers(self) -> dict[str, str]:
        """Return the marker variables that differ from those of this interpreter."""
        python = {"python_version": self.python, "python_full_version": f"{self.python}.0"}
        if self.system != LINUX:
            return python
        return python | {
            "platform_machine": MACHINES[self.architecture],
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


LAMBDA: Final = Target("arm64", "python3.13")
