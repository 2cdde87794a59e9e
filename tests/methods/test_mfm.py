"""MFM is the plain classifier with the loss of its variant, made from the training labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nctools.losses import multi_focal_modifier_loss, prior_focal_modifier_loss
from nctools.methods import MFM, build, default_arguments, default_recipe
from nctools.methods.checkpoint import Checkpoint, rebuild

COUNTS = [40, 12, 3]
TOGETHER = torch.tensor([[40.0, 6, 1], [6, 12, 0], [1, 0, 3]])
VARIANTS = ["paper", "released", "prior"]
BASELINE: dict[str, Any] = {"variant": "prior", "gamma_pos": 1.0, "gamma_neg": 2.0, "detach_focal_weight": False}


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 32, 32, generator=generator)
    targets = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]])
    return images, targets.float()


def small(**arguments: Any) -> MFM:
    torch.manual_seed(0)
    method = build(
        "mfm", num_classes=3, class_counts=COUNTS, cooccurrence=TOGETHER, **{"backbone": "small", **arguments}
    )
    assert isinstance(method, MFM)
    return method


def test_the_loss_is_that_of_the_paper_for_each_image(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small()
    output = method(images)
    expected = multi_focal_modifier_loss(output.logits, targets, COUNTS, reduction="sum") / 6
    torch.testing.assert_close(method.loss(output, targets, epoch=0)["loss"], expected)


def test_released_and_prior_are_their_losses(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    released, prior = small(variant="released"), small(**BASELINE)
    output = released(images)
    expected = multi_focal_modifier_loss(output.logits, targets, COUNTS, variant="released", reduction="batchmean")
    torch.testing.assert_close(released.loss(output, targets, epoch=0)["loss"], expected)
    wanted = prior_focal_modifier_loss(
        output.logits,
        targets,
        COUNTS,
        TOGETHER,
        gamma_pos=1,
        gamma_neg=2,
        detach_focal_weight=False,
        reduction="batchmean",
    )
    torch.testing.assert_close(prior.loss(output, targets, epoch=0)["loss"], wanted)


def test_settings_reach_the_loss(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    settings: dict[str, Any] = {"gamma_neg": 2.0, "weight_neg": 0.5, "beta": 1.0, "clip": 0.1}
    for variant in ("paper", "released"):
        method = small(variant=variant, **settings)
        output = method(images)
        expected = multi_focal_modifier_loss(
            output.logits, targets, COUNTS, variant=variant, reduction="batchmean", **settings
        )
        torch.testing.assert_close(method.loss(output, targets, epoch=0)["loss"], expected)
    method = small(variant="prior", **settings)
    expected = prior_focal_modifier_loss(output.logits, targets, COUNTS, TOGETHER, reduction="batchmean", **settings)
    torch.testing.assert_close(method.loss(output, targets, epoch=0)["loss"], expected)


@pytest.mark.parametrize("head", ["linear", "class_attention"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loss_falls(batch: tuple[Tensor, Tensor], variant: str, head: str) -> None:
    images, targets = batch
    method = small(variant=variant, head=head)
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        loss = method.loss(method(images), targets, epoch=0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("head", ["linear", "class_attention"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_rebuilds_logits_and_loss(batch: tuple[Tensor, Tensor], variant: str, head: str) -> None:
    images, targets = batch
    method = small(variant=variant, head=head).eval()
    checkpoint = Checkpoint(
        method="mfm",
        arguments={"backbone": "small", "variant": variant, "head": head},
        state_dict=method.state_dict(),
        ema_state_dict=None,
        class_names=["a", "b", "c"],
        class_counts=COUNTS,
        groups={"head": [0], "tail": [1, 2]},
        dataset="digits_lt",
        preprocessing={"mean": [0.5] * 3, "std": [0.2] * 3, "augmentation": "none"},
        epoch=1,
    )
    again = rebuild(checkpoint)
    assert (again(images).logits == method(images).logits).all()
    # The co-occurrence is not told again: the weights hold what the loss needs of it.
    first, second = (model.loss(model(images), targets, epoch=0)["loss"] for model in (method, again))
    assert first == second


def test_data_sets_have_the_usual_backbones_and_uniform_sampling() -> None:
    assert default_arguments("mfm", "digits_lt") == {"backbone": "small"}
    for dataset in ("voc_lt", "coco_lt"):
        assert default_arguments("mfm", dataset) == {"backbone": "resnet50", "pretrained": True}
        assert default_recipe("mfm", dataset).sampler == "uniform"


def test_the_exponent_that_a_variant_has_is_written_out() -> None:
    for variant, beta in {"paper": 1 / 6, "released": 1 / 6, "prior": 1 / 3}.items():
        assert MFM.in_full({"variant": variant, "beta": None, "head": "linear"})["beta"] == beta
        assert MFM.in_full({"variant": variant, "beta": 0.5, "head": "linear"})["beta"] == 0.5


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="variant is 'newest'"):
        small(variant="newest")
    with pytest.raises(ValueError, match="pass cooccurrence"):
        MFM(3, COUNTS, variant="prior", backbone="small")
    with pytest.raises(ValueError, match=r"`cooccurrence` has shape \[2, 2\]"):
        MFM(3, COUNTS, TOGETHER[:2, :2], variant="prior", backbone="small")
