"""Paper against released code: one test for each row of the table, and what both have in common."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nctools.losses.collapse_calibration import collapse_calibration_loss
from nctools.losses.feature_label_alignment import feature_label_alignment_loss
from nctools.methods.assembly import build
from nctools.methods.mlc_nc import MLCNC
from nctools.models.attention import CosineAttention, MultiheadClassAttention
from tests.reference import models as reference

CLASSES = 5


def built(variant: str, **arguments: object) -> MLCNC:
    torch.manual_seed(0)
    return MLCNC(CLASSES, backbone="small", variant=variant, **arguments).eval()  # type: ignore[arg-type]


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(6, 3, 32, 32, generator=generator)
    return images, (torch.rand(6, CLASSES, generator=generator) < 0.5).float()


def test_attention_is_cosine_without_parameters_or_multihead_of_768() -> None:
    paper, released = built("paper"), built("released")
    assert isinstance(paper.head.attention, CosineAttention)
    assert list(paper.head.attention.parameters()) == []
    assert paper.head.label_embedding().shape == (CLASSES, 64)  # the width of the backbone
    attention = released.head.attention
    assert isinstance(attention, MultiheadClassAttention)
    assert (attention.num_features, attention.num_heads, attention.dropout) == (768, 8, 0.1)
    assert attention.positive_scale == 1
    assert released.head.label_embedding().shape == (CLASSES, 768)
    # Fixed simplex queries in both.
    for method in (paper, released):
        assert list(method.head.label_embedding.parameters()) == []


@pytest.mark.parametrize(("variant", "normalise"), [("paper", "batch"), ("released", "pairs")])
def test_calibration_is_divided_by_images_or_by_pairs(variant: str, normalise: str) -> None:
    method, (images, targets) = built(variant), batch()
    method.observe(method(images), targets)
    method.end_epoch()
    output = method(images)
    centres = method.centres
    expected = {
        how: collapse_calibration_loss(
            output.features["projected"],
            centres.centres,
            centres.seen,
            targets,
            normalise=how,
        )
        for how in ("batch", "pairs")
    }
    found = method.loss(output, targets, epoch=9)["loss_fpc"]
    torch.testing.assert_close(found, expected[normalise])
    torch.testing.assert_close(expected["batch"] * len(images), expected["pairs"] * targets.sum())


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_centres_are_those_of_the_last_epoch_or_of_all(variant: str) -> None:
    method = built(variant)
    epochs = [(method(images).features["projected"], targets) for images, targets in (batch(1), batch(2))]
    for projected, targets in epochs:
        method.centres.update(projected, targets)
        method.end_epoch()
    means = reference.class_means(epochs[1:] if variant == "paper" else epochs, CLASSES)
    for place, mean in means.items():
        torch.testing.assert_close(method.centres.centres[place].double(), mean, atol=1e-6, rtol=1e-5)


def test_beta_is_a_fifth_or_a_tenth() -> None:
    assert (built("paper").fpc_weight, built("released").fpc_weight) == (0.2, 0.1)
    assert (built("paper", fpc_weight=0.7).fpc_weight, built("released", fpc_weight=0.0).fpc_weight) == (0.7, 0.0)


def test_classifier_is_fixed_or_trained() -> None:
    assert "classifier.weight" in dict(built("paper").named_buffers())
    assert "classifier.weight" in dict(built("released").named_parameters())
    # In the warm-up too: nothing of it depends on the epoch.
    assert built("released").classifier.weight.requires_grad


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_the_floor_stands_inside_the_logs_of_the_released_code(variant: str) -> None:
    method, (images, targets) = built(variant), batch()
    output = method(images)
    # Features along their label: the log of a positive is that of 1, or of 1 + 1e-6.
    labels = method.head.label_embedding()
    features = labels.expand(len(images), -1, -1)
    aligned = type(output)(output.logits, output.features | {"classwise": features})
    everything = torch.ones_like(targets)
    found = method.loss(aligned, everything, epoch=0)["loss_fla"]
    wanted = feature_label_alignment_loss(features, labels, everything, variant=variant)  # type: ignore[arg-type]
    torch.testing.assert_close(found, wanted, atol=0, rtol=0)
    assert (float(found) < 0) == (variant == "released")


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("shown", [[0, 1], [3, 4]])
def test_every_class_has_a_centre_whatever_its_group(shown: list[int], variant: str) -> None:
    # Of the counts, the first two classes are head and the last two tail: neither group has centres of its own only.
    torch.manual_seed(0)
    told = {"class_counts": [500, 200, 50, 9, 4], "class_names": list("abcde")}
    method = build("mlc_nc", num_classes=CLASSES, backbone="small", variant=variant, **told)  # type: ignore[arg-type]
    assert isinstance(method, MLCNC)
    images, _ = batch()
    targets = torch.zeros(len(images), CLASSES)
    targets[:, shown] = 1
    output = method.eval()(images)
    method.observe(output, targets)
    method.end_epoch()
    assert method.centres.centres.shape[0] == CLASSES
    assert method.centres.seen.nonzero().flatten().tolist() == shown
    # They are what L_FPC pulls to: without a centre there would be nothing to lose.
    expected = output.features["projected"].mean(0)[shown]
    torch.testing.assert_close(method.centres.centres[shown], expected)
    assert float(method.loss(method(images), targets, epoch=9)["loss_fpc"]) > 0
