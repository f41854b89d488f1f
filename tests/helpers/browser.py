"""Chromium without a window, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or ""
needed = pytest.mark.skipif(
    # a snap has a folder for temporary files of its own, and sees none of ours
    not CHROMIUM or CHROMIUM.startswith("/snap/"),
    reason="Chromium is not installed as a package of the system (Debian: chromium)",
)


def dom(page: Path, *options: str) -> str:
    """The page as HTML, after its scripts have run."""
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-quic", "--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync", *options),
            *(f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout
