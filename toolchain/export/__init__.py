"""From a trained model to proven files."""

from toolchain.export.calibration import study
from toolchain.export.exporting import (
    ExportOutcome,
    Target,
    demand_proved,
    export,
    targets,
)

__all__ = ["ExportOutcome", "Target", "demand_proved", "export", "study", "targets"]
