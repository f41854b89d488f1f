"""The instructions that a guest's code takes: the same digits in every run of one build.

    code = SECTION + "section(1)\\nwork()\\nsection(0)\\n"
    count(environment, BOARDS["Pi 5"], ["-c", code])[1]

Another build, or another folder, shifts what lies where in memory and with it the counts: by less
than 0.1 %. Instructions are not time: compare the same board, engine and userland.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.emulator.debian import PiError, run
from benchmarks.emulator.userland import Board, Environment

SOURCE = Path(__file__).with_name("count_instructions.c")

# Guest code: from here on this thread's instructions count for section `number`; 0 for none.
SECTION = """\
import os
def section(number):
    os.closerange(0x5EC70000, 0x5EC70001 + number)
"""


def count(
    environment: Environment, board: Board, arguments: Sequence[str], timeout: float = 300
) -> dict[int, int]:
    """The instructions of each section that the guest's Python began with `arguments`.

    A section includes the way out of the call that began it and into the call that ends it: about
    2,000 instructions of Python, as an empty section has them. Threads that began no section, such
    as an engine's own, are not counted: let engines use one thread.

    Raises:
        PiError: there is no C compiler, or the guest failed.
    """
    plugin = _compiled(environment.emulator.parent)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        option = f"file={_escaped(plugin)},out={_escaped(out)}"
        done = environment.run(board, arguments, timeout=timeout, plugin=option)
        if done.returncode or not out.exists():
            words = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise PiError(
                f"The guest ended with code {done.returncode}; expected 0, and counts. Run it "
                f"without counting to see whether it works at all. Its last words:\n{words}"
            )
        lines = out.read_text(encoding="ascii").splitlines()
    return {int(section): int(instructions) for section, instructions in map(str.split, lines)}


def _compiled(folder: Path) -> Path:
    """The plugin, compiled unless this source was before."""
    source = SOURCE.read_bytes()
    plugin = folder / f"count_instructions-{hashlib.sha256(source).hexdigest()[:12]}.so"
    if not plugin.exists():
        handle, new = tempfile.mkstemp(dir=folder, prefix=".new.")
        os.close(handle)
        try:
            flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"]
            run(["cc", *flags, str(SOURCE), "-o", new])
            os.replace(new, plugin)
        finally:
            Path(new).unlink(missing_ok=True)
    return plugin


def _escaped(path: Path) -> str:
    """A path among QEMU's options, where commas separate."""
    return str(path).replace(",", ",,")
