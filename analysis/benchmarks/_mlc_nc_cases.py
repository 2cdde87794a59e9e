"""Sizes, inputs and ways of ``mlc_nc_step.py``: one training step of MLC-NC without its backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from _machine import Way
from _mlc_nc_loops import (
    LoopForm,
    add_class_by_class,
    alignment_of_all_pairs,
    calibration_by_stacking,
    projected_in_slices,
    two_way_by_masks,
)
from torch import Tensor, nn
from torch.nn import functional as F

from nctools.losses import bce_loss, collapse_calibration_loss, feature_label_alignment_loss, two_way_loss
from nctools.methods import MLCNC
from nctools.models import ClassCentres

# Labels of an image of VOC-LT and COCO-LT as class-aware sampling draws them, beside the class that was drawn.
_MORE_LABELS = {20: 2.0, 80: 3.5}


@dataclass(frozen=True)
class Case:
    """Sizes of one comparison.

    Args:
        classes: C.
        images: B.
        backbone: Whose map the head reads; its width is that of the map.
        side: Positions along a side of the map.
        width: D of the class-wise features.
        projection: p.
    """

    classes: int
    images: int = 64
    backbone: str = "resnet50"
    side: int = 7
    width: int = 768
    projection: int = 20

    def method(self, variant: str) -> MLCNC:
        """MLC-NC without its backbone, past the warm-up, with centres."""
        torch.manual_seed(0)
        method = MLCNC(
            self.classes,
            backbone=self.backbone,
            variant=variant,  # type: ignore[arg-type]
            num_features=self.width if variant == "released" else None,
            projection_features=self.projection,
        )
        centres = method.centres
        centres.centres.copy_(F.normalize(torch.randn(centres.centres.shape), dim=1))
        centres.seen.fill_(True)
        method.backbone = nn.Identity()  # type: ignore[assignment]
        return method

    def targets(self) -> Tensor:
        """Label sets ``[B, C]``, each with a label."""
        draw = torch.Generator().manual_seed(0)
        share = _MORE_LABELS.get(self.classes, 2.0) / self.classes
        targets = (torch.rand(self.images, self.classes, generator=draw) < share).float()
        targets[torch.arange(self.images), torch.randint(0, self.classes, (self.images,), generator=draw)] = 1
        return targets

    def feature_map(self, channels: int) -> Tensor:
        """A map after a ReLU, with gradient."""
        draw = torch.Generator().manual_seed(1)
        return torch.randn(self.images, channels, self.side, self.side, generator=draw).relu_().requires_grad_()


CASES = {"20": Case(20), "80": Case(80), "quick": Case(5, 4, "small", 3, 16, 4)}


def whole_steps(case: Case, *, dropout: float = 0.1) -> dict[str, Way]:
    """The ways to one step: values and gradients of the first two agree when nothing is dropped."""
    method, paper = case.method("released"), case.method("paper")
    attention = method.head.attention
    attention.dropout = dropout
    loops = LoopForm(method)
    channels = paper.head.projection.weight.shape[1]
    feature_map, targets = case.feature_map(channels), case.targets()
    linear = nn.Linear(channels, case.classes)
    return {
        "nctools": partial(_step, method, feature_map, targets),
        "loops": partial(_step_in_loops, loops, list(method.parameters()), feature_map, targets),
        "nctools, paper variant": partial(_step, paper, feature_map, targets),
        "linear head, BCE": partial(_linear_step, linear, feature_map, targets),
        "floor": partial(_multiply, _products(case, channels)),
    }


def parts(case: Case) -> dict[str, tuple[Way, Way]]:
    """The parts of a step, each with gradient: ours and the loop form."""
    draw = torch.Generator().manual_seed(2)
    shape = (case.images, case.classes)
    features = torch.randn(*shape, case.width, generator=draw).requires_grad_()
    projected = F.normalize(torch.randn(*shape, case.projection, generator=draw), dim=2).requires_grad_()
    logits, weights = torch.randn(shape, generator=draw).requires_grad_(), torch.randn(projected.shape, generator=draw)
    method, targets = case.method("released"), case.targets()
    labels, centres, seen = method.head.label_embedding(), method.centres.centres, method.centres.seen
    projection = method.head.projection
    of_projection = [features, projection.weight, projection.bias]

    def in_slices() -> Tensor:
        return F.normalize(projected_in_slices(features, projection.weight) + projection.bias, dim=2)

    return {
        "class-wise projection": (
            lambda: _with_gradients((projection(features) * weights).sum(), of_projection),
            lambda: _with_gradients((in_slices() * weights).sum(), of_projection),
        ),
        "collapse calibration (L_FPC)": (
            lambda: _with_gradients(
                collapse_calibration_loss(projected, centres, seen, targets, normalise="pairs"), [projected]
            ),
            lambda: _with_gradients(calibration_by_stacking(projected, centres, targets, 0.5), [projected]),
        ),
        "feature-label alignment (L_FLA)": (
            lambda: _with_gradients(
                feature_label_alignment_loss(features, labels, targets, variant="released"), [features]
            ),
            lambda: _with_gradients(alignment_of_all_pairs(features, labels, targets), [features]),
        ),
        "two-way loss": (
            lambda: _with_gradients(two_way_loss(logits, targets), [logits]),
            lambda: _with_gradients(two_way_by_masks(logits, targets, 4.0), [logits]),
        ),
        "update of the class centres": (
            partial(_sums_of_centres, projected, targets),
            partial(_sums_in_loops, projected, targets),
        ),
    }


def _with_gradients(loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, inputs)]


def _step(method: MLCNC, feature_map: Tensor, targets: Tensor) -> list[Tensor]:
    output = method(feature_map)
    loss = method.loss(output, targets, epoch=method.warmup_epochs)["loss"]
    found = _with_gradients(loss, [feature_map, *method.parameters()])
    method.observe(output, targets)
    return [output.features["classwise"].detach(), output.logits.detach(), *found]


def _step_in_loops(
    loops: LoopForm, parameters: list[nn.Parameter], feature_map: Tensor, targets: Tensor
) -> list[Tensor]:
    features, projected, logits, loss = loops(feature_map, targets)
    found = _with_gradients(loss, [feature_map, *parameters])
    loops.observe(projected, targets)
    return [features.detach(), logits.detach(), *found]


def _linear_step(linear: nn.Linear, feature_map: Tensor, targets: Tensor) -> list[Tensor]:
    logits = linear(feature_map.mean((2, 3)))
    return _with_gradients(bce_loss(logits, targets, reduction="batchmean"), [feature_map, *linear.parameters()])


def _sums_of_centres(projected: Tensor, targets: Tensor) -> list[Tensor]:
    centres = ClassCentres(*projected.shape[1:])
    centres.update(projected, targets)
    return [centres.sums, centres.counts.float()]


def _sums_in_loops(projected: Tensor, targets: Tensor) -> list[Tensor]:
    sums, counts = torch.zeros(projected.shape[1:]), torch.zeros(projected.shape[1])
    add_class_by_class(projected, targets, sums, counts)
    return [sums, counts]


@dataclass(frozen=True)
class Product:
    """A matrix product of a step and the places of its results, with those of the backward pass that there are."""

    left: Tensor
    right: Tensor
    result: Tensor
    to_left: Tensor | None
    to_right: Tensor | None


def _products(case: Case, channels: int) -> list[Product]:
    images, classes, width, positions = case.images, case.classes, case.width, case.side**2
    heads = 8
    places, pairs = images * positions, images * classes
    return [
        _product(1, places, channels, width),  # embedding of the positions
        _product(1, places, width, 2 * width),  # keys and values
        _product(1, classes, width, width, fixed=True),  # queries: the label embeddings have no gradient
        _product(images * heads, classes, width // heads, positions),  # scores
        _product(images * heads, classes, positions, width // heads),  # mixing
        _product(1, pairs, width, width),  # output of the attention
        _product(classes, images, width, case.projection),
        _product(1, images, classes * case.projection, classes),  # logits
    ]


def _product(count: int, rows: int, inner: int, columns: int, *, fixed: bool = False) -> Product:
    left, right = torch.randn(count, rows, inner), torch.randn(count, inner, columns)
    if count == 1:
        left, right = left[0], right[0]
    return Product(left, right, left @ right, None if fixed else torch.empty_like(left), torch.empty_like(right))


def _multiply(products: Sequence[Product]) -> None:
    for product in products:
        torch.matmul(product.left, product.right, out=product.result)
        if product.to_left is not None:
            torch.matmul(product.result, product.right.mT, out=product.to_left)
        if product.to_right is not None:
            torch.matmul(product.left.mT, product.result, out=product.to_right)
