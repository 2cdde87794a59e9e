"""Classifiers whose rows are fixed by geometry."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nctools.models.etf import simplex_etf


class FixedETFClassifier(nn.Module):
    """Logits ``gamma <x, v_c>`` with the rows ``v_c`` of a simplex ETF and one scale gamma; no bias.

    For MLC-NC, x is the concatenation of the C projected features, ``D = C p``.

    Args:
        num_classes: C.
        num_features: D, at least C-1.
        seed: Of the ETF's rotation.
        scale: Start (or fixed value) of gamma.
        learnable_scale: Whether gamma is a parameter.
        trainable: Whether the rows are a parameter that starts as the ETF (what the released code does) instead of a
            buffer.

    Source:
        MLC-NC (AAAI 2025), binarized ETF classifier.

    Example:
        >>> classifier = FixedETFClassifier(3, 12, seed=0, scale=2.0)
        >>> classifier(classifier.weight)[0].detach().round()
        tensor([ 2., -1., -1.])
    """

    weight: Tensor
    scale: Tensor

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        *,
        seed: int,
        scale: float = 1.0,
        learnable_scale: bool = True,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        rows = simplex_etf(num_classes, num_features, seed=seed)
        gamma = torch.tensor(float(scale))
        if trainable:
            self.weight = nn.Parameter(rows)
        else:
            self.register_buffer("weight", rows)
        if learnable_scale:
            self.scale = nn.Parameter(gamma)
        else:
            self.register_buffer("scale", gamma)

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
