"""From a trained model to proven files."""

from toolchain.export.calibration import study
from toolchain.export.exporting import Outcome, Target, export, targets

__all__ = ["Outcome", "Target", "export", "study", "targets"]
