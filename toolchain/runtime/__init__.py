"""The device wing: numpy and an interpreter, nothing heavier."""

from toolchain.model.artifact import Prediction
from toolchain.runtime.classifier import Classifier

__all__ = ["Classifier", "Prediction"]
