"""The device wing: numpy and an interpreter, nothing heavier."""

from toolchain.artifact import Prediction
from toolchain.runtime.classifier import Classifier

__all__ = ["Classifier", "Prediction"]
