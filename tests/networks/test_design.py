"""Networks that a few numbers describe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.model.artifact import InputContract
from toolchain.networks.design import BLOCKS, HEADS, VALID, Design, Stage
from toolchain.support.errors import UsageError

STAGES = st.builds(
    Stage,
    channels=st.integers(1, 12),
    strides=st.integers(1, 2),
    kernel=st.integers(1, 5),
    blocks=st.integers(0, 2),
    kind=st.sampled_from([kind for kind in BLOCKS if kind != VALID]),
)


@settings(max_examples=8)
@given(
    st.lists(STAGES, min_size=1, max_size=3),
    st.sampled_from(HEADS),
    st.integers(8, 40),
    st.integers(8, 40),
)
def test_any_design_answers_with_probabilities(
    stages: list[Stage], head: str, height: int, width: int
) -> None:
    model = Design(tuple(stages), head).build(InputContract(height, width, 1), 3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, 1), np.uint8)
    answers = np.asarray(model(pixels, training=False))
    assert answers.shape == (2, 3)
    assert np.allclose(answers.sum(1), 1, atol=1e-4)


def kinds(design: Design) -> list[str]:
    model = design.build(InputContract(28, 28, 1), 10)
    counted = ("Conv2D", "DepthwiseConv2D", "Add")
    return [kind for layer in model.layers if (kind := type(layer).__name__) in counted]


def test_a_residual_block_is_one_convolution_and_a_sum() -> None:
    assert kinds(Design((Stage(8, blocks=1),), "flatten")) == ["Conv2D", "Conv2D", "Add"]


def test_a_separable_block_has_a_convolution_of_each_channel_and_one_across_them() -> None:
    found = kinds(Design((Stage(8, blocks=1, kind="separable"),), "flatten"))
    assert found == ["Conv2D", "DepthwiseConv2D", "Conv2D", "Add"]


def test_a_valid_block_takes_a_pixel_off_each_side() -> None:
    design = Design((Stage(8, strides=1, blocks=2, kind=VALID),), "flatten")
    model = design.build(InputContract(28, 20, 1), 10)
    assert model.layers[-2].input.shape[1:] == (24, 16, 8)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"channels": 0}, "at least 1 channel"),
        ({"channels": 8, "strides": 3}, "strides of 1 or 2"),
        ({"channels": 8, "blocks": -1}, "no less than 0 blocks"),
        ({"channels": 8, "kind": "residul"}, "residual"),
    ],
)
def test_impossible_stages_are_usage_errors(numbers: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Stage(**numbers)  # type: ignore[arg-type]


def test_impossible_designs_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="at least 1 stage"):
        Design(())
    with pytest.raises(UsageError, match="average"):
        Design((Stage(8),), "averge")
    with pytest.raises(UsageError, match="Dropout"):
        Design((Stage(8),), dropout=1)
