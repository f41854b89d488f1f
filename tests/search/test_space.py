"""What a search may choose."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from tests.helpers.present import present
from toolchain.model.artifact import InputContract
from toolchain.networks import architectures
from toolchain.search.space import Candidate, Space

FASHION = Space(((28, 28),), teacher="fashion-large")


def suggested(space: Space, parameters: Any) -> Candidate:
    return space.suggest(optuna.trial.FixedTrial(dict(parameters)))


def weights(model: Any) -> list[tuple[int, ...]]:
    return [weight.shape for weight in model.weights]


OURS = ("fashion-small", "fashion-fast", "mnist-small", "small-cnn")  # in the order of `known`


@pytest.mark.parametrize("name", OURS)
def test_our_own_networks_are_in_the_space(name: str) -> None:
    candidate = suggested(FASHION, list(FASHION.known())[OURS.index(name)])
    contract = InputContract(28, 28, 1)
    ours = architectures.get(name).build(contract, 10)
    found = present(candidate.design).build(contract, 10)
    assert weights(found) == weights(ours)
    assert [type(each) for each in found.layers] == [type(each) for each in ours.layers]


@pytest.mark.parametrize("name", ["fashion-small", "mnist-small"])
def test_they_have_their_own_recipes(name: str) -> None:
    recipe = suggested(FASHION, list(FASHION.known())[OURS.index(name)]).recipe
    theirs = architectures.get(name).recipe
    for field in ("batch", "learning_rate", "schedule", "ema", "label_smoothing", "augment"):
        assert getattr(recipe, field) == getattr(theirs, field)
    assert recipe.teacher == "fashion-large"


@pytest.mark.parametrize("side", [40, 96, 224])
def test_small_cnn_is_in_the_space_at_any_size(side: int) -> None:
    space = Space(((side, side),))
    candidate = suggested(space, list(space.known())[-1])
    contract = InputContract(side, side, 3)
    ours = architectures.get("small-cnn").build(contract, 5)
    assert weights(present(candidate.design).build(contract, 5)) == weights(ours)


def test_every_suggestion_can_be_built() -> None:
    space = Space(((28, 28), (64, 96)))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sizes = set()
    for _ in range(12):
        candidate = space.suggest(study.ask())
        contract = InputContract(*candidate.size, 1)
        model = present(candidate.design).build(contract, 4)
        answers = np.asarray(model(np.zeros((1, *candidate.size, 1), np.uint8), training=False))
        assert answers.shape == (1, 4)
        sizes.add(candidate.size)
    assert sizes == {(28, 28), (64, 96)}


def test_a_pretrained_network_is_cut_and_fine_tuned() -> None:
    space = Space(((96, 96),), ("efficientnet-lite0",))
    known = [each for each in space.known() if each["network"] == "efficientnet-lite0"]
    assert [each["depth"] for each in known] == [5, 11, 16]
    tuned = {"tuning rate": 0.001, "tuning augment": "flip"}
    candidate = suggested(space, {**known[0], **tuned})
    assert (candidate.design, candidate.depth, candidate.size) == (None, 5, (96, 96))
    assert candidate.recipe.phases == architectures.get("efficientnet-lite0").recipe.phases


def test_the_smallest_candidate_has_the_fewest_parameters() -> None:
    contract = InputContract(28, 28, 1)
    least = present(FASHION.smallest().design).build(contract, 10).count_params()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(8):
        other = present(FASHION.suggest(study.ask()).design).build(contract, 10)
        assert least < other.count_params()
