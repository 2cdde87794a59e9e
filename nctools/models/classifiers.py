"""Classifiers of unit rows and one scale: on the joined class-wise features, or each class on its own feature."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.models.etf import simplex_etf

ClassifierRows = Literal["etf", "random"]


class _UnitRows(nn.Module):
    """What the classifiers share: unit rows ``weight`` and one ``scale``, each a parameter or a buffer."""

    weight: Tensor
    scale: Tensor

    def __init__(self, rows: Tensor, scale: float, *, train_rows: bool, train_scale: bool) -> None:
        super().__init__()
        for name, value, trained in (
            ("weight", rows, train_rows),
            ("scale", torch.tensor(float(scale)), train_scale),
        ):
            if trained:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)


class FixedETFClassifier(_UnitRows):
    """Logits ``gamma <x, v_c>`` with the rows ``v_c`` of a simplex ETF and one scale gamma; no bias.

    For MLC-NC, x is the concatenation of the C projected features, ``D = C p``.

    Args:
        num_classes: C.
        num_features: D, at least C-1 for an ETF.
        seed: Of the rows.
        scale: Start (or fixed value) of gamma.
        learnable_scale: Whether gamma is a parameter.
        trainable: Whether the rows are a parameter that starts as the ETF (what the released code does) instead of a
            buffer.
        rows: ``"etf"``, or for ablations ``"random"``: normal rows scaled to unit length.

    Raises:
        ValueError: If there are no such rows, or the ETF does not fit.

    Source:
        MLC-NC (AAAI 2025), binarized ETF classifier.

    Example:
        >>> classifier = FixedETFClassifier(3, 12, seed=0, scale=2.0)
        >>> classifier(classifier.weight)[0].detach().round()
        tensor([ 2., -1., -1.])
    """

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        *,
        seed: int,
        scale: float = 1.0,
        learnable_scale: bool = True,
        trainable: bool = False,
        rows: ClassifierRows = "etf",
    ) -> None:
        chosen = _unit_rows(num_classes, num_features, rows, seed=seed)
        super().__init__(chosen, scale, train_rows=trainable, train_scale=learnable_scale)

    def forward(self, features: Tensor) -> Tensor:
        """Classify.

        Args:
            features: ``[B, D]``.

        Returns:
            Logits ``[B, C]``, in float32 or wider also under autocast: the product is small, and half precision would
            tie scores that mean average precision has to rank.

        Raises:
            ValueError: If the width is not that of the classifier.
        """
        if features.dim() != 2 or features.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"`features` has shape {list(features.shape)} but the classifier's weight has shape "
                f"{list(self.weight.shape)}: pass features [B, {self.weight.shape[1]}]"
            )
        with torch.autocast(features.device.type, enabled=False):
            wide = torch.promote_types(features.dtype, torch.float32)
            return self.scale * F.linear(features.to(wide), self.weight.to(wide))


class ClasswiseClassifier(_UnitRows):
    """Logits ``gamma <x^c, w_c>``: each class reads its own feature with its own unit row; one scale, no bias.

    Args:
        num_classes: C.
        num_features: Width p of each class's feature; at least C-1 for an ETF.
        seed: Of the rows.
        scale: Start of the learnable scale gamma.
        trainable: Whether the rows are a parameter instead of a buffer.
        rows: ``"random"`` (normal rows scaled to unit length) or ``"etf"``.

    Raises:
        ValueError: If there are no such rows, or the ETF does not fit.

    Source:
        nctools: a reading of "without concatenation" in MLC-NC's ablation (AAAI 2025), which gives no formula.

    Example:
        >>> classifier = ClasswiseClassifier(3, 4, seed=0, scale=2.0)
        >>> classifier(classifier.weight.unsqueeze(0)).detach().round()
        tensor([[2., 2., 2.]])
    """

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        *,
        seed: int,
        scale: float = 1.0,
        trainable: bool = False,
        rows: ClassifierRows = "random",
    ) -> None:
        chosen = _unit_rows(num_classes, num_features, rows, seed=seed)
        super().__init__(chosen, scale, train_rows=trainable, train_scale=True)

    def forward(self, features: Tensor) -> Tensor:
        """Classify.

        Args:
            features: ``[B, C, p]``.

        Returns:
            Logits ``[B, C]``, in float32 or wider also under autocast.

        Raises:
            ValueError: If classes or width are not those of the classifier.
        """
        if features.dim() != 3 or features.shape[1:] != self.weight.shape:
            raise ValueError(
                f"`features` has shape {list(features.shape)} but the classifier's weight has shape "
                f"{list(self.weight.shape)}: pass features [B, {self.weight.shape[0]}, {self.weight.shape[1]}]"
            )
        with torch.autocast(features.device.type, enabled=False):
            wide = torch.promote_types(features.dtype, torch.float32)
            return self.scale * (features.to(wide) * self.weight.to(wide)).sum(2)


def _unit_rows(num_classes: int, num_features: int, rows: ClassifierRows, *, seed: int) -> Tensor:
    if rows not in get_args(ClassifierRows):
        raise ValueError(f"`rows` is {rows!r}: pass one of {', '.join(map(repr, get_args(ClassifierRows)))}")
    if rows == "etf":
        return simplex_etf(num_classes, num_features, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(num_classes, num_features, generator=generator, device="cpu")
    return F.normalize(normal, dim=1)
