"""MLC-NC puts its parts together as the paper says, and its variants differ where the table of the paper says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nctools.losses.bce import bce_loss
from nctools.losses.collapse_calibration import collapse_calibration_loss
from nctools.losses.feature_label_alignment import feature_label_alignment_loss
from nctools.losses.two_way import two_way_loss
from nctools.methods.class_attention import ClassAttention
from nctools.methods.mlc_nc import MLCNC

NUM_CLASSES = 6


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 48, 48, generator=generator)
    return images, (torch.rand(8, NUM_CLASSES, generator=generator) < 0.4).float()


def small(**arguments: object) -> MLCNC:
    torch.manual_seed(0)
    chosen: dict[str, object] = {"backbone": "small", "projection_features": 5, **arguments}
    return MLCNC(NUM_CLASSES, **chosen)  # type: ignore[arg-type]


def test_loss_is_the_weighted_sum_of_the_three_terms(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(fla_weight=0.3, fpc_weight=0.7).eval()
    method.observe(method(images), targets)
    method.end_epoch()
    output = method(images)
    fla = feature_label_alignment_loss(output.features["classwise"], method.head.label_embedding(), targets)
    fpc = collapse_calibration_loss(output.features["projected"], method.centres.centres, method.centres.seen, targets)
    losses = method.loss(output, targets, epoch=5)
    assert fpc > 0
    torch.testing.assert_close(losses["loss"], 0.3 * fla + 0.7 * fpc + two_way_loss(output.logits, targets))
    torch.testing.assert_close(losses["loss_fpc"], fpc.detach())


def test_warm_up_minimises_alignment_alone_with_weight_one(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(fla_weight=0.3, warmup_epochs=2)
    output = method(images)
    assert set(method.loss(output, targets, epoch=1)) == {"loss", "loss_fla"}
    fla = feature_label_alignment_loss(output.features["classwise"], method.head.label_embedding(), targets)
    torch.testing.assert_close(method.loss(output, targets, epoch=1)["loss"], fla)
    assert "loss_two_way" in method.loss(output, targets, epoch=2)


def test_calibration_is_zero_until_centres_exist(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(warmup_epochs=0)
    assert method.loss(method(images), targets, epoch=0)["loss_fpc"] == 0


def test_only_the_released_variant_trains_the_classifier() -> None:
    paper, released = small(), small(variant="released", num_features=32)
    assert "classifier.weight" not in dict(paper.named_parameters())
    assert "classifier.weight" in dict(released.named_parameters())
    assert (paper.fpc_weight, released.fpc_weight) == (0.2, 0.1)


def test_classifier_is_an_etf_that_training_leaves_alone(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(warmup_epochs=0)
    before = method.classifier.weight.clone()
    optimiser = torch.optim.Adam(method.parameters(), lr=0.1)
    method.loss(method(images), targets, epoch=0)["loss"].backward()
    optimiser.step()
    torch.testing.assert_close(method.classifier.weight, before)
    gram = method.classifier.weight.double() @ method.classifier.weight.double().T
    expected = torch.full((NUM_CLASSES, NUM_CLASSES), -1 / (NUM_CLASSES - 1), dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(gram, expected, atol=1e-6, rtol=0)


def test_logits_are_the_scaled_products_with_the_concatenation(batch: tuple[Tensor, Tensor]) -> None:
    images, _ = batch
    method = small(scale=7.0).eval()
    output = method(images)
    by_hand = torch.stack(
        [
            torch.stack(
                [7.0 * (output.features["projected"][image].reshape(-1) @ row) for row in method.classifier.weight]
            )
            for image in range(len(images))
        ]
    )
    torch.testing.assert_close(output.logits, by_hand, atol=1e-5, rtol=1e-4)


def test_the_sum_over_classes_is_the_mean_times_their_number(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    mean, total = small(warmup_epochs=9), small(warmup_epochs=9, fla_reduction="sum_classes")
    first = mean.loss(mean.eval()(images), targets, epoch=0)["loss"]
    second = total.loss(total.eval()(images), targets, epoch=0)["loss"]
    torch.testing.assert_close(second, NUM_CLASSES * first)


def test_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="variant is 'newest'"):
        small(variant="newest")


def test_the_control_trains_every_part(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = ClassAttention(NUM_CLASSES, backbone="small", attention="multihead", num_features=32)
    output = method(images)
    loss = method.loss(output, targets, epoch=0)["loss"]
    torch.testing.assert_close(loss, bce_loss(output.logits, targets) * NUM_CLASSES)
    loss.backward()
    assert not list(dict(method.named_buffers()).keys() & {"head.label_embedding.weight", "classifier.weight"})
    still = [name for name, weight in method.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A bias of keys shifts all scores of a softmax alike: its gradient is zero by construction.
    assert all("bias" in name for name in still)


def test_a_batch_without_positives_gives_finite_gradients(batch: tuple[Tensor, Tensor]) -> None:
    images, targets = batch
    method = small(warmup_epochs=0)
    loss = method.loss(method(images), torch.zeros_like(targets), epoch=0)["loss"]
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(torch.isfinite(weight.grad).all() for weight in method.parameters() if weight.grad is not None)
