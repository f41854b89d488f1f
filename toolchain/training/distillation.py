"""A trained model that teaches another one: knowledge distillation.

The student learns the teacher's probabilities beside the labels, both softened by a temperature
(G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015). The teacher
answers the very pixels that the student sees, varied as they are (L. Beyer et al., "Knowledge
distillation: a good teacher is patient and consistent", CVPR 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.evaluation import metrics
from toolchain.formats import keras as keras_format
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, require
from toolchain.training.optimization import compile_with
from toolchain.training.plan import TeacherFile, TrainingPlan

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

TEMPERATURE = 2.0
LABELS_SHARE = 0.1  # of the loss; the rest is the teacher's
LEAST = 1e-7  # probability, whose logarithm is finite


def teacher_file(path: Path) -> TeacherFile:
    """The model at `path` as a teacher.

    Raises:
        ToolchainError: it cannot be read.
    """
    return TeacherFile(path, files.sha256(files.read_bytes(path)))


def student_trainer(student: Any, plan: TrainingPlan, dataset: Dataset) -> Any:
    """What to fit: the compiled `student` itself or, where the plan has a teacher, a model that
    teaches it with the student's own optimizer.

    Raises:
        ToolchainError: there is none where the recipe asks for one; or its file cannot be read, was
            changed since it was named, or does not say what it is.
        UsageError: it was trained on other classes or images of another shape.
    """
    if plan.teacher is None:
        if plan.recipe.teacher:
            raise ToolchainError(
                f"The recipe asks for {plan.recipe.teacher} as a teacher, and none was given. "
                "Train it first (`toolchain.training.train` does), or leave it out of the recipe."
            )
        return student
    keras = require("keras", "export")

    class TeacherAnswers(keras.distillation.LogitsDistillation):  # type: ignore[misc, name-defined]
        """Keras' takes logits; our models give probabilities, whose logarithms are as good."""

        def compute_loss(self, teacher_outputs: Any, student_outputs: Any) -> Any:
            return super().compute_loss(_logits(teacher_outputs), _logits(student_outputs))

    def _logits(probabilities: Any) -> Any:
        return keras.ops.log(keras.ops.maximum(probabilities, LEAST))

    distiller = keras.distillation.Distiller(
        _load(plan.teacher, dataset),
        student,
        # by its name, in Keras 3.15, it would be given logits, and be 0 whatever they are
        TeacherAnswers(TEMPERATURE, keras.losses.KLDivergence()),
        student_loss_weight=LABELS_SHARE,
    )
    compile_with(student.optimizer, distiller, plan.recipe)
    return distiller


def _load(file: TeacherFile, dataset: Dataset) -> Any:
    path, data = file.path, files.read_bytes(file.path)
    if files.sha256(data) != file.sha256:
        raise ToolchainError(f"{path} was changed after the run began. Start the run again.")
    info = keras_format.read_info(data)
    if info is None:
        raise ToolchainError(
            f"{path} does not say what it is. Expected as a teacher a .keras file that "
            "`toolchain train` wrote, trained on the same classes."
        )
    takes, given = (
        f"{each.height}×{each.width}×{each.channels}" for each in (info.input, dataset.contract)
    )
    if takes != given:
        raise UsageError(
            f"The teacher {path} takes {takes} pixels, the student {given}. Train both on pictures "
            f"of one size, all gray or all in colour: --size {info.input.width}x"
            f"{info.input.height}{' --color' if info.input.channels == 3 else ''}."
        )
    metrics.check_fits(info, dataset)
    return keras_format.load(data)
