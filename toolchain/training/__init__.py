"""Data set and architecture in, trained model and its history out.

While it trains, a run keeps its state in `FOLDER/.training/`: the plan, the history, and the
weights after the last and the best epoch. A later run with the same plan goes on from there.

When a run ends it writes `NAME.keras`, `training.csv`, `training.png` and `mistakes.png`; and last,
if it did what was asked of it, `training.json`.
"""

from toolchain.training.distillation import teacher_file
from toolchain.training.plan import TrainingPlan
from toolchain.training.publishing import TrainingResult
from toolchain.training.record import TrainingRecord
from toolchain.training.run import train
from toolchain.training.splits import split

__all__ = ["TrainingPlan", "TrainingRecord", "TrainingResult", "split", "teacher_file", "train"]
