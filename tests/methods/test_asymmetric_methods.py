"""ASL, P-ASL and Hill: their defaults, that they learn, and that their checkpoints come back whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nctools.losses import asymmetric_loss, hill_loss, partial_asymmetric_loss
from nctools.methods.assembly import build, default_arguments, default_recipe
from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild, save_checkpoint
from nctools.methods.method import Argument, Method
from nctools.methods.recipe import Recipe

NAMES = ["asl", "p_asl", "hill"]
HEADS: dict[str, dict[str, Argument]] = {
    "linear": {},
    "class_attention": {"head": "class_attention", "num_features": 32, "projection_features": 5},
}
NUM_CLASSES = 5


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images whose colours tell which of five classes they hold."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(24, NUM_CLASSES, generator=generator) < 0.4).float()
    mixing = torch.randn(NUM_CLASSES, 3, generator=generator)
    noise = 0.1 * torch.randn(24, 3, 48, 48, generator=generator)
    return (targets @ mixing)[:, :, None, None] + noise, targets


def small(name: str, **arguments: Argument) -> Method:
    torch.manual_seed(0)
    return build(
        name,
        num_classes=NUM_CLASSES,
        class_counts=None,
        num_images=None,
        cooccurrence=None,
        class_names=None,
        **{"backbone": "small", **arguments},
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", list(HEADS))
def test_loss_falls_in_a_few_steps(name: str, head: str, batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(name, **HEADS[head])
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = method.loss(method(images), targets, epoch=0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("asl", {"gamma_neg": 3.0, "gamma_pos": 1.0, "clip": 0.1, "detach_focal_weight": False}),
        ("p_asl", {"gamma_unknown": 4.0, "mode": "negative", "zeros_unknown": True}),
        ("p_asl", {"gamma_pos": 1.0, "gamma_neg": 4.0, "clip": 0.1, "likelihood_topk": 1}),
        ("hill", {"lambd": 2.0, "margin": 0.5, "gamma": 1.0}),
    ],
)
def test_arguments_reach_the_loss_which_is_a_mean_over_images(
    name: str, arguments: Mapping[str, Argument], batch: tuple[Tensor, Tensor]
) -> None:
    images, targets = batch
    targets = targets.masked_fill(torch.rand_like(targets) < 0.5, -1)
    losses = {"asl": asymmetric_loss, "p_asl": partial_asymmetric_loss, "hill": hill_loss}
    method = small(name, **arguments)
    output = method(images)
    found = method.loss(output, targets, epoch=0)["loss"]
    expected = losses[name](output.logits, targets, **arguments, reduction="sum") / len(images)  # type: ignore[operator]
    torch.testing.assert_close(found, expected)
    # The expected gradient too: arguments that are not handed on may leave the value as it is (detaching).
    weights = list(method.parameters())
    pairs = zip(
        torch.autograd.grad(found, weights, retain_graph=True), torch.autograd.grad(expected, weights), strict=True
    )
    for ours, wanted in pairs:
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", list(HEADS))
def test_checkpoint_rebuilds_the_same_logits(name: str, head: str, tmp_path: Path) -> None:
    method = small(name, **HEADS[head])
    checkpoint = Checkpoint(
        method=name,
        arguments={"backbone": "small", **HEADS[head]},
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=list("abcde"),
        class_counts=[9, 7, 5, 2, 1],
        groups={"head": [0, 1, 2], "tail": [3, 4]},
        dataset="digits_lt",
        preprocessing={"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "augmentation": "none"},
        epoch=1,
        validation={},
        seed=0,
    )
    save_checkpoint(checkpoint, tmp_path / "last.pt")
    images = torch.randn(2, 3, 48, 48)
    again = rebuild(load_checkpoint(tmp_path / "last.pt"))
    torch.testing.assert_close(again(images).logits, method.eval()(images).logits, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_drawn_uniformly(name: str) -> None:
    for dataset in ("digits_lt", "voc_lt", "coco_lt", "plt_voc"):
        assert default_recipe(name, dataset).sampler == default_recipe("erm", dataset).sampler == "uniform"


def test_losses_are_the_published_ones() -> None:
    assert repr(small("asl").criterion).startswith("AsymmetricLoss(gamma_neg=4, gamma_pos=0, clip=0.05, ")
    assert repr(small("hill").criterion).startswith("HillLoss(lambd=1.5, margin=1, gamma=2, ")
    shown = repr(small("p_asl").criterion)
    assert shown.startswith("PartialAsymmetricLoss(gamma_pos=0, gamma_neg=1, gamma_unknown=2, ")
    assert "clip=0, mode='selective', likelihood_topk=5, class_prior=None, " in shown
    assert "zeros_unknown=False" in shown


def test_zeros_are_unknown_in_the_sets_with_partial_labels_only() -> None:
    for name in ("plt_voc", "plt_coco"):
        assert default_arguments("p_asl", name) == {**default_arguments("erm", name), "zeros_unknown": True}
    for name in ("digits_lt", "voc_lt", "coco_lt", "voc", "coco"):
        assert default_arguments("p_asl", name) == default_arguments("erm", name)


def test_on_labels_that_are_all_known_selection_leaves_nothing_out(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    selective, ignoring, partial = small("p_asl"), small("p_asl", mode="ignore"), small("p_asl", zeros_unknown=True)
    output = selective(images)
    asl = asymmetric_loss(output.logits, targets, gamma_neg=1, clip=0, reduction="batchmean")
    for method in (selective, ignoring):
        torch.testing.assert_close(method.loss(output, targets, epoch=0)["loss"], asl)
    assert partial.loss(output, targets, epoch=0)["loss"] < asl


def test_p_asl_says_where_nothing_of_it_is_left(batch: tuple[Tensor, Tensor]) -> None:
    known = batch[1]
    (note,) = small("p_asl", gamma_neg=3.0, clip=0.1).notes(Recipe(), known)
    assert note.startswith(
        "no training label is unknown (-1), so mode=selective has nothing to act on and the loss is ASL"
    )
    assert "gamma_neg 3 and clip 0.1: take --set zeros_unknown=true where a 0 means not annotated" in note
    (note,) = small("p_asl", mode="ignore_normalize").notes(Recipe(), known)
    assert "mode=ignore_normalize has nothing to act on and the loss is a multiple of ASL" in note
    assert small("p_asl").notes(Recipe(), known.index_fill(0, torch.tensor([2]), -1)) == []
    assert small("p_asl", zeros_unknown=True).notes(Recipe(), known) == []
