"""RS, RW, Focal, CB-Focal, LDAM and Two-way: each is a network and the loss of its name, with published settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nctools.errors import CheckpointError
from nctools.losses import (
    LOSSES,
    bce_loss,
    build,
    class_balanced_loss,
    focal_loss,
    ldam_loss,
    reweighted_bce_loss,
    two_way_loss,
)
from nctools.methods.assembly import argument_names, build_as_told, default_arguments, default_recipe
from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild, save_checkpoint
from nctools.methods.method import Argument, Method

COUNTS = [30, 12, 5, 1]
NUM_IMAGES = 31
NAMES = ["rs", "rw", "focal", "cb_focal", "ldam", "two_way"]
NEEDS_COUNTS = ["rw", "cb_focal", "ldam"]


def built(name: str, **arguments: Argument) -> Method:
    torch.manual_seed(0)
    told = {"num_classes": 4, "class_counts": COUNTS, "num_images": NUM_IMAGES}
    return build_as_told(name, told, {"backbone": "small", **arguments})


def batch() -> tuple[Tensor, Tensor]:
    """Images whose brightness in a corner says which classes they hold; one holds none."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(12, 4, generator=generator) < 0.4).float()
    targets[0] = 0
    images = 0.1 * torch.randn(12, 3, 32, 32, generator=generator)
    for c, (row, column) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        images[:, :, row : row + 16, column : column + 16] += targets[:, c, None, None, None]
    return images, targets


# A sum over classes and a mean over images, as ERM's, so that the learning rate means the same for all of them.
def published(name: str, z: Tensor, y: Tensor) -> Tensor:
    if name == "rs":
        return bce_loss(z, y, reduction="batchmean")
    if name == "rw":
        return reweighted_bce_loss(z, y, COUNTS, NUM_IMAGES, reduction="batchmean")
    if name == "focal":
        return focal_loss(z, y, gamma=2, scale=2, reduction="batchmean")
    if name == "cb_focal":
        return class_balanced_loss(z, y, COUNTS, beta=0.99, mode="average_e", gamma=2, scale=20, reduction="batchmean")
    if name == "ldam":
        return ldam_loss(z, y, COUNTS, max_margin=0.5, scale=1, reduction="batchmean")
    assert name == "two_way"
    return two_way_loss(z, y, temperature=4, temperature_negative=1)


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_one_of_its_name_with_published_settings(name: str) -> None:
    images, targets = batch()
    method = built(name).eval()
    output = method(images)
    torch.testing.assert_close(method.loss(output, targets, epoch=3), {"loss": published(name, output.logits, targets)})


@pytest.mark.parametrize("name", [name for name in NAMES if name in LOSSES])
def test_the_loss_built_by_that_name_is_the_same(name: str) -> None:
    _, targets = batch()
    method, logits = built(name), torch.randn(12, 4)
    reduction: dict[str, Any] = {} if name == "two_way" else {"reduction": "batchmean"}
    alone = build(name, class_counts=COUNTS, num_images=NUM_IMAGES, **reduction)
    assert method.criterion(logits, targets) == alone(logits, targets)  # type: ignore[operator]
    assert repr(method.criterion) == repr(alone)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rw", {"power": 1.0}),
        ("rw", {"normalise": False}),
        ("focal", {"gamma": 0.5}),
        ("focal", {"scale": 3.0}),
        ("focal", {"alpha": 0.25}),
        ("cb_focal", {"beta": 0.9}),
        ("cb_focal", {"mode": "min_n"}),
        ("cb_focal", {"gamma": 0.0}),
        ("cb_focal", {"scale": 1.0}),
        ("ldam", {"max_margin": 2.0}),
        ("ldam", {"scale": 3.0}),
        ("two_way", {"temperature": 1.0}),
        ("two_way", {"temperature_negative": 2.0}),
    ],
)
def test_each_setting_reaches_the_loss(name: str, arguments: dict[str, Argument]) -> None:
    _, targets = batch()
    method = built(name, **arguments)
    for key, value in arguments.items():
        assert key in argument_names(name)
        assert getattr(method.criterion, key) == value
    logits = torch.randn(12, 4)
    changed, usual = (one.criterion(logits, targets) for one in (method, built(name)))  # type: ignore[operator]
    assert changed != usual


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", ["digits_lt", "voc_lt", "coco_lt"])
def test_only_rs_draws_classes_equally(name: str, dataset: str) -> None:
    assert default_recipe(name, dataset).sampler == ("class_aware" if name == "rs" else "uniform")


@pytest.mark.parametrize("name", NAMES)
def test_arguments_by_data_set_are_the_published_ones(name: str) -> None:
    betas = {"voc_lt": {"beta": 0.99}, "coco_lt": {"beta": 0.9}} if name == "cb_focal" else {}
    assert default_arguments(name, "digits_lt") == {"backbone": "small"}
    for dataset in ("voc_lt", "coco_lt", "vg200"):
        photographs = {"backbone": "resnet50", "pretrained": True}
        assert default_arguments(name, dataset) == {**photographs, **betas.get(dataset, {})}
    assert default_arguments(name, "/photos/mine.csv") == {}


@pytest.mark.parametrize("head", ["linear", "class_attention"])
@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_within_a_few_steps(name: str, head: str) -> None:
    images, targets = batch()
    method = built(name, head=head)
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        loss = method.loss(method(images), targets, epoch=0)["loss"]
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("head", ["linear", "class_attention"])
@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_rebuilds_the_same_logits_and_the_same_loss(name: str, head: str, tmp_path: Path) -> None:
    images, targets = batch()
    method = built(name, head=head).eval()
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint_of(name, method, {"backbone": "small", "head": head}), path)
    again = rebuild(load_checkpoint(path))
    first, second = method(images), again(images)
    torch.testing.assert_close(first.logits, second.logits, atol=0, rtol=0)
    assert method.loss(first, targets, epoch=0)["loss"] == again.loss(second, targets, epoch=0)["loss"]


@pytest.mark.parametrize("name", NEEDS_COUNTS)
def test_a_checkpoint_holds_the_counts_that_the_loss_was_made_of(name: str) -> None:
    method = built(name)
    checkpoint = checkpoint_of(name, method, {"backbone": "small"})
    assert checkpoint.state_dict["criterion.class_counts"].tolist() == COUNTS
    rebuilt = rebuild(replace(checkpoint, class_counts=[2, 2, 2, 2]))
    assert rebuilt.get_buffer("criterion.class_counts").tolist() == COUNTS
    with pytest.raises(CheckpointError, match="the weights do not fit method"):
        rebuild(replace(checkpoint, class_names=["a"], class_counts=[2]))


@pytest.mark.parametrize("name", NEEDS_COUNTS)
def test_counts_come_from_the_data_and_are_no_argument_to_set(name: str) -> None:
    assert {"class_counts", "num_images"}.isdisjoint(argument_names(name))


def checkpoint_of(name: str, method: Method, arguments: dict[str, Argument]) -> Checkpoint:
    return Checkpoint(
        method=name,
        arguments=arguments,
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=["a", "b", "c", "d"],
        class_counts=COUNTS,
        num_images=NUM_IMAGES,
        groups={"head": [0, 1], "tail": [2, 3]},
        dataset="digits_lt",
        preprocessing={"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "augmentation": "none"},
        epoch=1,
    )
