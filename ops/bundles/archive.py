"""A zip whose bytes follow from its files' names and contents alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

# The earliest time that a zip can hold, for every file.
EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644
LIBRARY_MODE = 0o100755
COMPRESSION_LEVEL = 9
UNIX = 3


def write(path: Path, files: Mapping[str, Path]) -> None:
    """Write the files, by their names in the zip, in the order of these names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = (LIBRARY_MODE if ".so" in name else FILE_MODE) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes(), compresslevel=COMPRESSION_LEVEL)
