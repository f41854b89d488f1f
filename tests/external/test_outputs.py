"""What the numbers of a model mean, and that they become probabilities."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from toolchain.external import outputs
from toolchain.external.outputs import OutputKind
from toolchain.support.errors import UsageError

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 3, (200, 4)).astype(np.float32)
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
SIGMOID = (1 / (1 + np.exp(-LOGITS))).astype(np.float32)

VALUES = {
    OutputKind.PROBABILITIES: SOFTMAX,
    OutputKind.LOG_PROBABILITIES: np.log(SOFTMAX),
    OutputKind.LOGITS: LOGITS,
    OutputKind.YES_OR_NO: SIGMOID,
    OutputKind.PROBABILITY: SIGMOID[:, :1],
    OutputKind.LOGIT: LOGITS[:, :1],
}


@pytest.mark.parametrize("found", VALUES)
def test_each_meaning_is_told_by_its_values(found: OutputKind) -> None:
    assert outputs.output_kind(VALUES[found], one_of=found is OutputKind.YES_OR_NO) is found


@pytest.mark.parametrize("found", VALUES)
def test_probabilities_add_up_to_1_and_name_the_same_class(found: OutputKind) -> None:
    values = VALUES[found]
    image = keras.Input(values.shape[1:])
    model = keras.Model(image, outputs.to_probabilities(found)(image * 1))
    given = model.predict(values, verbose=0)
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-5)
    assert np.array_equal(given.argmax(1), outputs.classes(values, found))
    np.testing.assert_allclose(given, np.exp(outputs.log_probabilities(values, found)), atol=1e-5)
    if found in (OutputKind.LOGITS, OutputKind.LOG_PROBABILITIES):
        np.testing.assert_allclose(given, SOFTMAX, atol=1e-5)


def test_a_yes_or_no_to_nothing_still_adds_up() -> None:
    image = keras.Input((3,))
    model = keras.Model(image, outputs.to_probabilities(OutputKind.YES_OR_NO)(image * 1))
    np.testing.assert_allclose(model.predict(np.zeros((1, 3)), verbose=0), 1 / 3, atol=1e-6)


def test_one_of_is_for_several_sigmoids_only() -> None:
    with pytest.raises(UsageError, match=r"say --one-of(.|\n)*activations\.softmax"):
        outputs.output_kind(SIGMOID)
    with pytest.raises(UsageError, match=r"gives logits\. Leave --one-of out"):
        outputs.output_kind(LOGITS, one_of=True)
