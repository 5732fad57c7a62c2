"""What operators and developers run: the `huntaze-stripe` command, the local run, the chaos suite."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
