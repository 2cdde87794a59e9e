"""Weights find their places under any prefix; what does not fit wholly is refused with the reason."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from nctools.errors import CheckpointError
from nctools.networks.fitting import load_into, num_classes_of
from tests.networks.zoo import Small

State = dict[str, Tensor]


class Wrapped(nn.Module):
    """Holds the model below another name, as the network that is to be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Small()


def state_of(module: nn.Module, *, removed: str = "", prefix: str = "") -> State:
    return {prefix + name.removeprefix(removed): value.clone() for name, value in module.state_dict().items()}


def randomised(module: nn.Module) -> nn.Module:
    for value in module.state_dict().values():
        value.copy_(torch.randn(value.shape) if value.is_floating_point() else value)
    return module


def assert_same(first: nn.Module, second: nn.Module) -> None:
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, atol=0, rtol=0)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "model.",
        "net.",
        "_orig_mod.",
        "backbone.",
        "encoder.",
        "model.module.",
        "a.very.long.way.",
        "fc.",
    ],
)
def test_any_prefix_of_the_file_is_found(prefix: str) -> None:
    source, target = randomised(Small()), Small()
    notes = load_into(target, state_of(source, prefix=prefix), where="a.pt")
    assert_same(source, target)
    assert notes == ([f"names in the file: {prefix!r} left out"] if prefix and prefix != "_orig_mod." else [])


def test_a_compiled_part_in_the_middle_of_names() -> None:
    source, target = randomised(Wrapped()), Wrapped()
    state = {name.replace("inner.", "inner._orig_mod."): value for name, value in state_of(source).items()}
    assert load_into(target, state, where="a.pt") == []
    assert_same(source, target)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_model_may_have_a_prefix_that_the_file_lacks(prefix: str) -> None:
    source, target = randomised(Wrapped()), Wrapped()
    (note,) = load_into(target, state_of(source, removed="inner.", prefix=prefix), where="a.pt")
    assert_same(source, target)
    assert "'inner.' put before" in note


def test_old_files_without_counters_of_batch_norm_load() -> None:
    source, target = randomised(Small()), Small()
    state = {name: value for name, value in state_of(source).items() if not name.endswith("num_batches_tracked")}
    assert load_into(target, state, where="a.pt") == []
    assert_same(source, target)


def test_other_parts_of_a_lightning_module_are_noted() -> None:
    source, target = randomised(Small()), Small()
    state = state_of(source, prefix="model.") | {"criterion.weight": torch.ones(3), "accuracy.tp": torch.ones(3)}
    notes = load_into(target, state, where="a.pt")
    assert_same(source, target)
    assert notes[1] == "not used, as the model has no such part: criterion (1), accuracy (1)"


def test_a_classifier_that_the_model_lacks_is_noted() -> None:
    source, target = randomised(Small()), Small()
    del target.fc
    notes = load_into(target, state_of(source), where="a.pt")
    assert notes == ["not used, as the model has no such part: fc (2)"]


def test_of_two_models_in_a_file_the_choice_is_said() -> None:
    student, teacher, target = randomised(Small()), randomised(Small()), Small()
    state = state_of(teacher, prefix="ema_model.") | state_of(student, prefix="model.")
    notes = load_into(target, state, where="a.pt")
    assert_same(student, target)
    assert notes[1] == "the file holds several sets of weights that fit; 'model.' is taken, not ema_model."


def test_a_missing_parameter_is_refused_with_the_nearest_name() -> None:
    state = state_of(Small(), prefix="model.")
    state["model.fc_.weight"] = state.pop("model.fc.weight")
    wanted = r"a\.pt lack 1 of 7 entries of the model: fc\.weight \[3, 4\] \(nearest in the file: model\.fc_?\.\w+\)"
    with pytest.raises(CheckpointError, match=wanted):
        load_into(Small(), state, where="a.pt")


def test_other_classes_are_refused_with_the_argument_that_mends_it() -> None:
    message = (
        "the weights in a.pt do not fit: fc.weight is [10, 4] in the file but [3, 4] in the model; fc.bias is [10] in "
        "the file but [3] in the model: give --model-args num_classes=10"
    )
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_into(Small(), state_of(Small(num_classes=10), prefix="model."), where="a.pt")


def test_other_channels_are_refused_with_the_argument_that_mends_it() -> None:
    state = state_of(Small()) | {"conv1.weight": torch.zeros(4, 1, 3, 3)}
    with pytest.raises(CheckpointError, match="give --model-args in_chans=1"):
        load_into(Small(), state, where="a.pt")


def test_another_width_lists_five_and_counts_the_rest() -> None:
    with pytest.raises(CheckpointError, match=r"conv1\.weight is \[6, 3, 3, 3\].* and 1 more: this is another model"):
        load_into(Small(), state_of(Small(width=6)), where="a.pt")


def test_weights_of_a_deeper_model_are_refused() -> None:
    shallow, deep = (nn.Sequential(nn.Sequential(*(nn.Linear(2, 2) for _ in range(depth)))) for depth in (2, 3))
    with pytest.raises(
        CheckpointError, match=r"those of a larger model: it lacks a place for 0\.2\.weight, 0\.2\.bias"
    ):
        load_into(shallow, state_of(deep), where="a.pt")


def test_a_resnet34_is_not_taken_for_a_resnet18() -> None:
    from nctools.networks.factories import build_network

    state = state_of(build_network("torchvision:resnet34", {}))
    with pytest.raises(CheckpointError, match=r"larger model: it lacks a place for layer1\.2\.conv1\.weight"):
        load_into(build_network("timm:resnet18", {}), state, where="a.pt")


def test_names_that_have_nothing_in_common_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"lack 7 of 7 entries .* The file has 2 entries: x \[1\] \.\.\. y \[2\]"):
        load_into(Small(), {"x": torch.zeros(1), "y": torch.zeros(2)}, where="a.pt")


@pytest.mark.parametrize(
    ("shapes", "wanted"),
    [
        ({"fc.weight": (10, 512), "layer4.se.fc.weight": (32, 512)}, 10),
        ({"model.classifier.0.weight": (64, 32), "model.classifier.3.weight": (7, 64)}, 7),
        ({"blocks.0.mlp.fc2.weight": (64, 32), "head.weight": (5, 64)}, 5),
        ({"heads.head.weight": (5, 64)}, 5),
        ({"a.weight": (4, 2), "a.bias": (4,), "b.weight": (6, 4), "b.bias": (6,), "c.weight": (9, 9)}, 6),
        ({"conv.weight": (4, 3, 3, 3)}, None),
        ({"layer.0.weight": (4, 3, 1, 1), "head.fc.weight": (8, 4, 1, 1)}, 8),
        ({}, None),
    ],
)
def test_the_number_of_classes_is_told_by_the_classifier(
    shapes: dict[str, tuple[int, ...]], wanted: int | None
) -> None:
    assert num_classes_of({name: torch.zeros(shape) for name, shape in shapes.items()}) == wanted
