"""What an interrupted run leaves behind, so that the next one goes on from there.

Keras' BackupAndRestore writes weights and epoch number one after the other, so a kill between
them trains an epoch twice; here the epoch is in the name of the weights' file. That is numpy's
`.npz` rather than Keras' `.h5`: HDF5 writes to the disk itself, and where that is full it was seen
to crash the process.
"""

from __future__ import annotations

import dataclasses
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.support import files
from toolchain.support.progress import Progress
from toolchain.support.records import as_json
from toolchain.training.history import History
from toolchain.training.plan import TrainingPlan


class TrainingState:
    """Plan, history, and weights by their epoch, in a folder of their own."""

    def __init__(self, folder: Path, plan: TrainingPlan, watched: str) -> None:
        self._folder = folder
        self._plan = as_json(plan.record()).encode()
        self._empty = History(watched)

    def resume(self, model: Any, progress: Progress) -> History:
        """Bring `model` to the end of the last epoch of an earlier run with the same plan."""
        try:
            history = self.history()
            if history.epochs:
                self.load(model, len(history.epochs))
                progress.say(
                    f"Going on after epoch {len(history.epochs)} of an interrupted run with the "
                    "same settings."
                )
                return history
        except Exception as error:  # h5py and Keras raise whatever a damaged file brings about
            progress.say(f"The interrupted run in {self._folder} is damaged ({error}).")
        if list(self._folder.glob("[0-9]*.npz")):
            progress.say(
                "An interrupted run that was damaged or had other settings is dropped; "
                "starting anew."
            )
        self.remove()
        files.replace(self._folder / "plan.json", self._plan)
        return self._empty

    def history(self) -> History:
        """The epochs of a run with this plan, as far as their weights are here."""
        plan, table = self._folder / "plan.json", self._folder / "training.csv"
        if not (plan.is_file() and table.is_file() and plan.read_bytes() == self._plan):
            return self._empty
        saved = [int(path.name.split(".")[0]) for path in self._folder.glob("[0-9]*.npz")]
        history = History.from_csv(table.read_text("utf-8", "replace"))
        return dataclasses.replace(history, epochs=history.epochs[: max(saved, default=0)])

    def save(self, model: Any, history: History) -> None:
        """Keep the history, and the weights of the last epoch and of the best one."""
        last = history.epochs[-1].number
        files.replace(self._folder / "training.csv", history.to_csv().encode())
        files.replace(self._weights(last), _weights_of(model))
        kept = {self._weights(last), self._weights(history.best.number)}
        for path in set(self._folder.glob("*.npz")) - kept:
            files.remove(path)

    def load(self, model: Any, epoch: int) -> None:
        """Give `model` and its optimizer the weights they had after `epoch`."""
        model.optimizer.build(model.trainable_variables)
        _give_weights(model, files.read_bytes(self._weights(epoch)))

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _weights(self, epoch: int) -> Path:
        return self._folder / f"{epoch}.npz"


def _weights_of(model: Any) -> bytes:
    """The weights of `model` and of its optimizer as `.npz` (numpy.org, "numpy.savez")."""
    file = io.BytesIO()
    np.savez(file, *(variable.numpy() for variable in _variables(model)))
    return file.getvalue()


def _give_weights(model: Any, data: bytes) -> None:
    """Raises:
    Exception: `data` is damaged, or of another model.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as saved:
        for variable, value in zip(_variables(model), saved.values(), strict=True):
            variable.assign(value)


def _variables(model: Any) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]
