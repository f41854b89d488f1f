"""Other Pythons than that of the tests."""

import sys
from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# the one that our environment was made with: outside of it, and with -S without any package
BASE = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
