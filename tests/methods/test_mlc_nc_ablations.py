"""What the paper takes away from MLC-NC can be taken away by an argument, and the rest is what the formulas say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import nctools
from nctools.methods.method import Argument
from nctools.methods.mlc_nc import MLCNC
from tests.reference import losses as reference_losses
from tests.reference import models as reference

CLASSES, WIDTH = 4, 3
# The rows of the paper's ablation and of its table of label embeddings, and what each is here.
ABLATIONS: dict[str, dict[str, Argument]] = {
    "full": {},
    "without L_FLA": {"fla_weight": 0},
    "without L_FPC": {"fpc_weight": 0},
    "trainable random classifier without concatenation": {
        "classifier": "random",
        "train_classifier": True,
        "concatenate": False,
    },
    "random classifier": {"classifier": "random"},
    "trainable classifier": {"train_classifier": True},
    "without concatenation": {"concatenate": False},
    "trainable label embedding": {"label_embedding": "trainable"},
    "random label embedding": {"label_embedding": "random"},
    "released code": {"variant": "released", "attention": "cosine"},
}


def small(**arguments: object) -> MLCNC:
    torch.manual_seed(0)
    chosen = {"backbone": "small", "projection_features": WIDTH, "scale": 2.0, "warmup_epochs": 1, **arguments}
    return MLCNC(CLASSES, **chosen).double().eval()  # type: ignore[arg-type]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, 16, 16, generator=generator, dtype=torch.float64)
    return images, torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]])


def loss_in_loops(method: MLCNC, images: Tensor, targets: Tensor, arguments: dict[str, Argument]) -> Tensor:
    """All three terms from the feature map on, by the formulas."""
    released = arguments.get("variant") == "released"
    labels = method.head.label_embedding()
    features, _ = reference.cosine_attention(method.backbone(images), labels)
    projected = reference.class_projection(features, method.head.projection.weight, method.head.projection.bias)
    logits_of = reference.joined_logits if arguments.get("concatenate", True) else reference.classwise_logits
    logits = logits_of(projected, method.classifier.weight, method.classifier.scale)
    fla = reference_losses.feature_label_alignment(features, labels, targets, "released" if released else "paper")
    fpc = reference_losses.collapse_calibration(
        projected,
        method.centres.centres.double(),
        method.centres.seen,
        targets,
        normalise="pairs" if released else "batch",
    )
    alpha = float(arguments.get("fla_weight", 0.5) or 0)
    beta = float(arguments.get("fpc_weight", 0.1 if released else 0.2) or 0)
    return alpha * fla + beta * fpc + reference_losses.two_way(logits, targets)


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_the_loss_and_its_gradient_equal_the_loops(name: str) -> None:
    method, (images, targets) = small(**ABLATIONS[name]), batch()
    method.observe(method(images), targets)
    method.end_epoch()
    # Other weights than those of the centres, so that L_FPC is not at a special place.
    torch.nn.init.normal_(method.head.projection.bias)
    found = method.loss(method(images), targets, epoch=1)["loss"]
    expected = loss_in_loops(method, images, targets, ABLATIONS[name])
    torch.testing.assert_close(found, expected)
    leaves = [weight for weight in method.parameters() if weight.requires_grad]
    ours, theirs = (torch.autograd.grad(loss, leaves, allow_unused=True) for loss in (found, expected))
    for mine, wanted, leaf in zip(ours, theirs, leaves, strict=True):
        none = torch.zeros_like(leaf)
        torch.testing.assert_close(none if mine is None else mine, none if wanted is None else wanted)


def test_without_alignment_there_is_no_warm_up() -> None:
    images, targets = batch()
    method = small(fla_weight=0, warmup_epochs=5)
    assert method.warmup_epochs == 0
    losses = method.loss(method(images), targets, epoch=0)
    assert set(losses) == {"loss", "loss_fla", "loss_fpc", "loss_two_way"}
    torch.testing.assert_close(losses["loss"], losses["loss_two_way"])
    assert losses["loss_fla"] > 0  # still told, not minimised


@pytest.mark.parametrize(
    ("arguments", "trained", "shape"),
    [
        ({}, False, (CLASSES, CLASSES * WIDTH)),
        ({"classifier": "random"}, False, (CLASSES, CLASSES * WIDTH)),
        ({"train_classifier": True}, True, (CLASSES, CLASSES * WIDTH)),
        ({"concatenate": False}, False, (CLASSES, WIDTH)),
        (ABLATIONS["trainable random classifier without concatenation"], True, (CLASSES, WIDTH)),
        ({"variant": "released", "train_classifier": False, "num_features": 32}, False, (CLASSES, CLASSES * WIDTH)),
    ],
)
def test_classifier_is_the_one_that_was_asked_for(
    arguments: dict[str, Argument], trained: bool, shape: tuple[int, int]
) -> None:
    method = small(**arguments)
    assert ("classifier.weight" in dict(method.named_parameters())) == trained
    assert method.classifier.weight.shape == shape
    gram = method.classifier.weight @ method.classifier.weight.T
    torch.testing.assert_close(gram.diagonal(), torch.ones(CLASSES, dtype=torch.float64), atol=1e-6, rtol=0)
    simplex = (CLASSES * torch.eye(CLASSES, dtype=torch.float64) - 1) / (CLASSES - 1)
    is_etf = torch.allclose(gram, simplex, atol=1e-6)
    assert is_etf == (arguments.get("classifier", "etf") == "etf")


@pytest.mark.parametrize("concatenate", [True, False])
def test_feature_layers_and_anchors_are_those_of_the_logits(concatenate: bool) -> None:
    method, (images, _) = small(concatenate=concatenate), batch()
    seen: dict[str, Tensor] = {}
    for space, place in method.feature_layers.items():
        module, _, side = place.partition(":")

        def keep(_: object, inputs: tuple[Tensor, ...], output: Tensor, *, name: str = space, at: str = side) -> None:
            seen[name] = inputs[0] if at == "input" else output

        method.get_submodule(module).register_forward_hook(keep)
    output = method(images)
    assert list(output.features) == list(seen)
    for space, features in seen.items():
        torch.testing.assert_close(output.features[space], features, rtol=0, atol=0)
    anchors = method.anchors()["penultimate"]
    penultimate = output.features["penultimate"]
    assert penultimate.shape == ((3, CLASSES * WIDTH) if concatenate else (3, CLASSES, WIDTH))
    scores = penultimate @ anchors.weight.T
    logits = scores if concatenate else torch.stack([row.diagonal() for row in scores])
    torch.testing.assert_close(logits, output.logits)


def test_every_space_without_concatenation_is_measured_as_one_of_class_features() -> None:
    method, (images, targets) = small(concatenate=False), batch()
    output = method(images)
    anchors = method.anchors()["penultimate"]
    measured = {
        space: nctools.measure(
            output.features[space].detach(),
            targets,
            classifier=anchors.weight,
            metrics=["nc1_cdnv", "nc3_self_duality"],
        ).to_dict()["all"]
        for space in ("projected", "penultimate")
    }
    assert measured["projected"] == measured["penultimate"]
    assert all(math.isfinite(value) for value in measured["penultimate"].values())


def test_an_etf_of_class_features_needs_room() -> None:
    with pytest.raises(ValueError, match="num_features is 3 but num_classes is 6"):
        MLCNC(6, backbone="small", projection_features=3, concatenate=False)


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`rows` is 'simplex': pass one of 'etf', 'random'"):
        small(classifier="simplex")
    np.save(tmp_path / "v.npy", np.ones((CLASSES, 2)))
    with pytest.raises(ValueError, match="unknown label embedding 'glove'"):
        small(label_embedding="glove")
