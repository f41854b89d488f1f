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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.support.records import as_json
from toolchain.training.history import History
from toolchain.training.plan import TrainingPlan


class TrainingState:
    """Plan, history, and weights by their epoch, in a folder of their own.

    `features` is the folder of what a pretrained network makes of the images: the same, unless
    several runs share one.
    """

    def __init__(
        self, folder: Path, plan: TrainingPlan, watched: str, features: Path | None = None
    ) -> None:
        self.folder = folder
        self.features = features or folder
        self._plan = plan
        self._written_plan = as_json(plan.record()).encode()
        self._empty = History(watched)

    def resume(self, model: Any, optimizer: Any, progress: Progress) -> History:
        """Bring `model`, and `optimizer` if there is one, to the end of the last epoch of an
        earlier run with the same plan."""
        try:
            history = self.history()
            if history.epochs:
                self.load(model, len(history.epochs), optimizer)
                progress.say(
                    f"Going on after epoch {len(history.epochs)} of an interrupted run with the "
                    "same settings."
                )
                return history
        except Exception as error:  # h5py and Keras raise whatever a damaged file brings about
            progress.say(f"The interrupted run in {self.folder} is damaged ({error}).")
        if list(self.folder.glob("[0-9]*.npz")):
            progress.say(
                "An interrupted run that was damaged or had other settings is dropped; "
                "starting anew."
            )
        self.remove()
        files.replace(self.folder / "plan.json", self._written_plan)
        return self._empty

    def history(self) -> History:
        """The epochs of a run with this plan, as far as their weights are here."""
        plan, table = self.folder / "plan.json", self.folder / "training.csv"
        if not (plan.is_file() and table.is_file() and plan.read_bytes() == self._written_plan):
            return self._empty
        saved = [int(path.name.split(".")[0]) for path in self.folder.glob("[0-9]*.npz")]
        history = History.from_csv(table.read_text("utf-8", "replace"))
        return dataclasses.replace(history, epochs=history.epochs[: max(saved, default=0)])

    def save(self, model: Any, optimizer: Any, history: History) -> None:
        """Keep the history, and the weights of the last epoch and of the best that may be kept,
        each with the state of the optimizer."""
        last = history.epochs[-1].number
        files.replace(self.folder / "training.csv", history.to_csv().encode())
        files.replace(self._weights(last), _weights_of(model, optimizer))
        kept = {self._weights(last), self._weights(self._plan.best(history).number)}
        for path in set(self.folder.glob("*.npz")) - kept:
            files.remove(path)

    def load(self, model: Any, epoch: int, optimizer: Any) -> None:
        """Give `model`, and `optimizer` if there is one, what they had after `epoch`.

        Raises:
            ToolchainError: the file is of another model or optimizer.
            Exception: it is damaged.
        """
        data = io.BytesIO(files.read_bytes(self._weights(epoch)))
        with np.load(data, allow_pickle=False) as file:
            saved = list(file.values())
        own, others = saved[: len(model.weights)], saved[len(model.weights) :]
        try:
            _assign(model.weights, own)
            if optimizer is not None:
                _assign(optimizer.variables, others)
        except ValueError as error:  # as another version of Keras would have it
            raise ToolchainError(
                f"The interrupted run in {self.folder} does not fit this model and this Keras "
                f"({error}). Remove that folder to start anew."
            ) from error

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _weights(self, epoch: int) -> Path:
        return self.folder / f"{epoch}.npz"


def _weights_of(model: Any, optimizer: Any) -> bytes:
    """The weights of both as `.npz` (numpy.org, "numpy.savez"); those of the model come first."""
    file = io.BytesIO()
    variables = (*model.weights, *optimizer.variables)
    np.savez(file, *(variable.numpy() for variable in variables))
    return file.getvalue()


def _assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
