"""The file of a copy, and its locks: of all commands and pages, one changes it, or any number read it.

DuckDB itself refuses a second process at once; these locks wait for their turn.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import duckdb

from ops import ROOT
from ops.errors import OperatorError
from ops.ledger_copy import tables

FOLDER: Final = ROOT / "build" / "ledger"
# Changes of the copy, and the names of the files by which it notes them.
ADDED: Final = "added"
REMOVED: Final = "removed"
# A change takes less than a second, a query at most its own limit.
WAIT_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.02
# Enough for 100,000 events, and far from what a laptop notices.
_LIMITS: Final[Mapping[str, str]] = MappingProxyType({"memory_limit": "64MB", "threads": "1"})
# No SQL may reach a file, the network, an extension or a variable of this process, or lift these limits.
_CLOSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **_LIMITS,
        # The join of 100,000 events with their envelopes.
        "memory_limit": "96MB",
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "max_temp_directory_size": "1GB",
        # The view `events` is written so that it holds no envelope in memory; else DuckDB chooses.
        "disabled_optimizers": "join_order,build_side_probe_side",
    }
)
# Of a connection that is open. The columns are UTC, so now() and a comparison with it must be, too.
_LOCKED: Final = "SET TimeZone = 'UTC'; SET lock_configuration = true"


@dataclass(frozen=True)
class LedgerCopy:
    """The copy of one environment's ledger in one AWS account.

    Parameters
    ----------
    folder
        A folder that only its owner can read, as it holds personal data.
    """

    folder: Path
    account_id: str

    @property
    def file(self) -> Path:
        """The DuckDB database."""
        return self.folder / f"{self.account_id}.v{tables.VERSION}.duckdb"

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """Let one refresh at a time fetch objects, so that each is fetched once.

        Raises
        ------
        OperatorError
            Another one takes too long, or the folder can't be made.
        """
        self._make_folder()
        with self._locked("refresh.lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the copy to change it, in one transaction.

        Raises
        ------
        OperatorError
            Another command uses the copy for too long.
        """
        self._make_folder()
        with self._locked("file.lock", fcntl.LOCK_EX), self._opened_to_write() as connection:
            connection.begin()
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the copy to read it; its connection can change and reach nothing.

        Raises
        ------
        OperatorError
            Another command changes the copy for too long, or the ledger has no copy.
        """
        if not self.file.exists():
            raise OperatorError("the ledger has no local copy yet: run `huntaze-stripe ledger query` first")
        with self._locked("file.lock", fcntl.LOCK_SH):
            connection = duckdb.connect(str(self.file), read_only=True, config=dict(_CLOSED))
            try:
                connection.execute(_LOCKED)
                yield connection
            finally:
                connection.close()

    def note(self, change: str) -> None:
        """Note `ADDED` or `REMOVED` before the change: what must follow it outlives a killed command."""
        (self.folder / change).touch(mode=0o600)

    def noted(self, change: str) -> bool:
        """Return whether what must follow a change has not been done."""
        return (self.folder / change).exists()

    def settle(self, change: str) -> None:
        """Note that what must follow a change was done."""
        (self.folder / change).unlink(missing_ok=True)

    def rewrite(self) -> None:
        """Write the file again, so that nothing of what was removed from the copy stays in it.

        Raises
        ------
        OperatorError
            Another command uses the copy for too long.
        """
        fresh = self.folder / "rewritten.duckdb"
        with self._locked("file.lock", fcntl.LOCK_EX):
            _remove(fresh)
            with duckdb.connect(config=dict(_LIMITS)) as connection:
                connection.execute(f"ATTACH '{quoted(self.file)}' AS former (READ_ONLY)")
                connection.execute(f"ATTACH '{quoted(fresh)}' AS fresh")
                connection.execute("COPY FROM DATABASE former TO fresh")
            fresh.chmod(0o600)
            fresh.replace(self.file)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise OperatorError(
                f"can't use {self.folder} ({error.strerror}): check its owner and the disk"
            ) from error

    @contextmanager
    def _opened_to_write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connected()
        try:
            self.file.chmod(0o600)
            yield connection
        finally:
            # What was not committed is rolled back.
            connection.close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        try:
            connection = duckdb.connect(str(self.file), config=dict(_LIMITS))
            connection.execute(tables.CREATE)
        except duckdb.Error:
            # Damaged. A copy can be made again: the ledger has everything.
            _remove(self.file)
            connection = duckdb.connect(str(self.file), config=dict(_LIMITS))
            connection.execute(tables.CREATE)
        return connection

    @contextmanager
    def _locked(self, name: str, kind: int) -> Iterator[None]:
        with (self.folder / name).open("w") as lock:
            deadline = time.monotonic() + WAIT_SECONDS
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise OperatorError(
                        f"another command has used {self.folder} for {WAIT_SECONDS:.0f} seconds: repeat the "
                        "command when it has ended"
                    )
                time.sleep(_POLL_SECONDS)
            yield


def of(environment: str, account_id: str) -> LedgerCopy:
    """Return the copy of an environment's ledger."""
    return LedgerCopy(FOLDER / environment, account_id)


def shown(path: Path) -> Path:
    """Return a path as a person types it: relative to the current folder, where that is possible."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _remove(file: Path) -> None:
    """Remove a database and its write-ahead log."""
    file.unlink(missing_ok=True)
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)


def quoted(file: Path) -> str:
    """Return a file's name for an SQL text."""
    return str(file).replace("'", "''")
