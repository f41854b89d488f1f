"""Commands in processes of their own that need not import TensorFlow again: each is forked from one
process that has imported it, and has computed nothing.

What a library prints or breaks while it is imported or at Python's end is not seen here, nor that
Python hashes otherwise in each process; for that there are processes that start from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests import ROOT
from tests.helpers.present import present

SECONDS = 300
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "psycopg",  # before TensorFlow, see toolchain/search/storage.py
        "keras",
        "tf2onnx",
        "onnx_ir",
        "onnxslim",
        "matplotlib.figure",
        "toolchain.cli",
        "toolchain.export.exporting",
        "toolchain.search.run",
        "optuna.storages._rdb.models",
        "alembic.command",
    ]
)


def run(
    *arguments: object,
    code: int | Collection[int] = 0,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What `python -m toolchain …` does with these arguments, if it ends with this code, or one of
    these."""
    words = [str(each) for each in arguments]
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "out", Path(place) / "err"
        process = start(_command, words, cwd=cwd, env=env, out=out, err=err)
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        done = subprocess.CompletedProcess(
            words, present(process.exitcode), out.read_text("utf-8"), err.read_text("utf-8")
        )
    assert done.returncode in ({code} if isinstance(code, int) else code), done.stderr
    assert "Traceback" not in done.stderr
    return done


def start(
    work: Callable[..., None],
    *arguments: object,
    out: Path,
    err: Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> BaseProcess:
    """A process that does `work`, a function of a module, with these arguments; what it prints is
    in two files."""
    settings = dict(os.environ if env is None else env)
    process = _context.Process(target=_begin, args=(work, arguments, cwd, settings, out, err))
    process.start()
    return process


def _begin(
    work: Callable[..., None],
    arguments: tuple[object, ...],
    cwd: Path,
    env: dict[str, str],
    out: Path,
    err: Path,
) -> None:
    for descriptor, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    work(*arguments)


def _command(words: list[str]) -> None:
    sys.argv = ["toolchain", *words]

    from toolchain.__main__ import main

    main()
