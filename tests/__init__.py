"""The tests mirror the rooms; those in `whole/` try the toolchain as a whole."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
