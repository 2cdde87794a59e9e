"""Averaged weights: parameters and batch statistics are averaged, class centres and their sums are not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nctools.methods import load_checkpoint
from nctools.models import ClassCentres
from nctools.run_directory import RunDirectory
from nctools.training.ema import AveragedWeights, not_averaged


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), ClassCentres(2, 3))


def centres_of(model: nn.Module) -> ClassCentres:
    return next(part for part in model.modules() if isinstance(part, ClassCentres))


def test_buffers_that_a_part_names_are_found_with_their_place() -> None:
    assert not_averaged(network()) == [f"2.{name}" for name in ("centres", "seen", "sums", "counts")]
    assert not_averaged(ClassCentres(2, 3)) == ["centres", "seen", "sums", "counts"]
    assert not_averaged(nn.BatchNorm1d(3)) == []


def test_centres_and_sums_are_copies_also_when_an_epoch_was_closed_after_the_last_step() -> None:
    model = network()
    average = AveragedWeights(model, 0.9)
    own = centres_of(model)
    for step in range(1, 6):
        own.update(torch.full((4, 2, 3), float(step)), torch.ones(4, 2))
        with torch.no_grad():
            for weight in model[0].parameters():
                weight.add_(1)
            model[1](torch.randn(8, 3))
        average.update(model, step)
        if step % 2 == 0:
            own.end_epoch()
        found = centres_of(average.model)
        assert all(torch.equal(value, found.state_dict()[name]) for name, value in own.state_dict().items())
    assert own.sums.abs().sum() > 0
    state = average.state_dict()
    assert torch.equal(state["2.sums"], own.sums)
    # The others are means of what they were.
    for name in ("0.weight", "1.running_mean"):
        assert not torch.equal(state[name], model.state_dict()[name])


def test_averaging_leaves_the_model_as_it_is_and_shares_nothing_with_it() -> None:
    model = network()
    centres_of(model).update(torch.ones(4, 2, 3), torch.ones(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average = AveragedWeights(model, 0.9)
    average.update(model, 1)
    centres_of(average.model).sums.add_(1)
    average.load_state_dict({name: value + 1 for name, value in average.state_dict().items()})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("file", ["last", "best"])
def test_a_run_keeps_the_same_centres_beside_both_kinds_of_weights(short_run: RunDirectory, file: str) -> None:
    found = load_checkpoint(short_run.checkpoints / f"{file}.pt")
    assert found.ema_state_dict is not None
    names = [name for name in found.state_dict if name.startswith("centres.")]
    assert len(names) == 4
    assert found.state_dict["centres.centres"].abs().sum() > 0
    assert all(torch.equal(found.state_dict[name], found.ema_state_dict[name]) for name in names)
    assert not torch.equal(found.state_dict["classifier.scale"], found.ema_state_dict["classifier.scale"])
