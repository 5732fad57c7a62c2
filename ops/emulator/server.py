"""Serve MiniStack with fixes, and leave nothing behind at the end."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from ops.emulator import EmulatorError
from ops.emulator.fixes import Fix

SUPPORTED_VERSION: Final = "1.5.33"
LOOPBACK: Final = "127.0.0.1"
DEFAULT_REGION: Final = "eu-west-1"
# Longer than any client keeps an idle connection (Terraform's provider: 90 s), so that the client closes it.
# Of a request that arrives while hypercorn closes an idle connection, the response is lost. The SDK then
# repeats the request, and a repeated CreateEventBus fails because the bus already exists.
KEEP_ALIVE_SECONDS: Final = 24 * 3600.0
# Requests on one connection; the default of hypercorn closes it after 1,000.
KEEP_ALIVE_REQUESTS: Final = 2**31
# The time that requests in flight get after SIGTERM.
SHUTDOWN_SECONDS: Final = 1.0


@dataclass(frozen=True)
class EmulatorServer:
    """One embedded AWS.

    Parameters
    ----------
    port
        TCP port on loopback.
    state_dir
        Absolute path of the folder for everything that it writes: state, S3 objects, code of functions.
    access_key_id
        The only access key that it accepts.
    fixes
        The fixes that it applies to MiniStack first.
    """

    port: int
    state_dir: Path
    access_key_id: str = field(repr=False)
    fixes: Sequence[Fix]

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises
        ------
        EmulatorError
            Another version of MiniStack is installed, a fix doesn't fit it, or the port is in use.
        """
        check_version()
        self._configure()
        for fix in self.fixes:
            fix.apply()
        try:
            asyncio.run(self._serve())
        except OSError as exc:
            raise EmulatorError(f"can't listen on {LOOPBACK}:{self.port}: {exc.strerror or exc}") from exc
        finally:
            self._stop_workers()
            self._discard_temporary()

    def _configure(self) -> None:
        """Set the variables that MiniStack reads when its modules load."""
        # The state contains secrets.
        os.umask(0o077)
        self._discard_temporary()
        temporary = self._temporary
        temporary.mkdir(parents=True)
        os.environ.pop("AWS_ENDPOINT_URL", None)
        os.environ |= {
            # Every call is checked; see ops/emulator/fixes/permissions.py.
            "AUTH": "true",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": os.environ.get("AWS_REGION", DEFAULT_REGION),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.state_dir / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.state_dir / "s3"),
            "TMPDIR": str(temporary),
        }
        for name, value in {
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        }.items():
            os.environ.setdefault(name, value)
        tempfile.tempdir = str(temporary)

    @property
    def _temporary(self) -> Path:
        """The folder of the functions' code and of what their processes write; deleted at the end."""
        return self.state_dir / "workers"

    def _discard_temporary(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    async def _serve(self) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
        from ministack.app import _build_persistence_save_dict, app
        from ministack.core.persistence import save_all
        from ministack.services import sts

        from ops.emulator.front import Front
        from ops.emulator.permissions import DECISIONS

        config = Config()
        config.bind = [f"{LOOPBACK}:{self.port}"]
        config.keep_alive_timeout = KEEP_ALIVE_SECONDS
        config.keep_alive_max_requests = KEEP_ALIVE_REQUESTS
        config.graceful_timeout = SHUTDOWN_SECONDS
        config.loglevel = os.environ["LOG_LEVEL"]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        front = Front(
            app,
            self.access_key_id,
            sts._sessions,
            DECISIONS.listed,
            lambda: save_all(_build_persistence_save_dict()),
        )
        await serve(cast(Any, front), config, shutdown_trigger=stop.wait)

    def _stop_workers(self) -> None:
        from ministack.core import lambda_runtime

        lambda_runtime.reset()


def check_version() -> None:
    """Raise EmulatorError unless the installed MiniStack is the version that the fixes are written for."""
    try:
        version = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if version != SUPPORTED_VERSION:
        raise EmulatorError(
            f"MiniStack {version} is installed, and the fixes need {SUPPORTED_VERSION}: run `make setup`"
        )
