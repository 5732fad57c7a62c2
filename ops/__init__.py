"""What operators and developers run: the `huntaze-stripe` command, the local run, the chaos suite."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
# Of a command without --env, and of the local run.
DEFAULT_ENVIRONMENT: Final = "dev"
