"""What operators and developers run: the `huntaze-stripe` command, the local run, the chaos suite."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
