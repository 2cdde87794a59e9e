"""Pseudo-Label adds the labels that the first stage is sure of, and takes none away."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nctools.methods.assembly import build, last_recipe
from nctools.methods.erm import ERM
from nctools.methods.pseudo_label import PseudoLabel
from nctools.methods.recipe import DIGITS_LT, Recipe


def completed(targets: Tensor, probabilities: Tensor, threshold: float) -> Tensor:
    return PseudoLabel.completed_targets(targets, lambda: probabilities, {"threshold": threshold})


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
@settings(max_examples=50, deadline=None)
def test_every_entry_is_what_the_rule_says(seed: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(-1, 2, (7, 5), generator=generator).float()
    probabilities = torch.rand(7, 5, generator=generator)
    before = targets.clone()
    found = completed(targets, probabilities, threshold)
    for row in range(7):
        for column in range(5):
            given_label, probability = before[row, column].item(), probabilities[row, column].item()
            wanted = 1.0 if given_label == 1 or probability > threshold else given_label
            assert found[row, column] == wanted
    assert torch.equal(targets, before)
    assert (found >= before).all()


def test_a_probability_at_the_threshold_is_not_above_it() -> None:
    found = completed(torch.zeros(1, 3), torch.tensor([[0.25, 0.5, 0.75]]), 0.5)
    assert found.tolist() == [[0, 0, 1]]


def test_both_stages_have_the_recipe_of_erm() -> None:
    assert PseudoLabel.first_stage == "erm"
    assert PseudoLabel.recipe_for["digits_lt"] == ERM.recipe_for["digits_lt"] == DIGITS_LT
    assert last_recipe("pseudo_label", Recipe(epochs=7), {}) == Recipe(epochs=7)


@pytest.mark.parametrize("head", ["linear", "class_attention"])
def test_the_second_stage_is_erm_from_scratch(head: str) -> None:
    networks: dict[str, Any] = {"backbone": "small", "head": head}
    built = []
    for name in ("erm", "pseudo_label"):
        torch.manual_seed(0)
        built.append(build(name, num_classes=4, **networks))
    plain, method = built
    fresh = {name: value.clone() for name, value in method.state_dict().items()}
    method.take_over({name: value + 1 for name, value in plain.state_dict().items()})
    assert isinstance(method, PseudoLabel)
    assert method.threshold == 0.5
    assert all(torch.equal(value, fresh[name]) for name, value in method.state_dict().items())
    images, targets = torch.randn(4, 3, 48, 48), torch.eye(4)
    losses = [part.eval().loss(part(images), targets, epoch=0)["loss"] for part in (plain, method)]
    assert losses[0] == losses[1]
