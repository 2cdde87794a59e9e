"""Feature projection of MLC-NC: one linear map for each class, then unit norm."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nctools.models._norms import divisible_norm


class ClassProjection(nn.Module):
    """``mu^c = (W_c f^c + b_c) / |W_c f^c + b_c|``, a map of its own for each class.

    Args:
        num_classes: C.
        in_features: Width D of the class-wise features.
        out_features: Width p after the projection.

    Source:
        MLC-NC (AAAI 2025), FPC. The weights ``[C, D, p]`` are laid out as in the released code; each class starts like
        an ``nn.Linear`` (uniform within 1/sqrt(D)) with bias 0. Their size does not matter to the result.

    Example:
        >>> projected = ClassProjection(20, 64, 16)(torch.randn(2, 20, 64))
        >>> projected.shape, bool(torch.allclose(projected.norm(dim=2), torch.ones(2, 20)))
        (torch.Size([2, 20, 16]), True)
    """

    def __init__(self, num_classes: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(num_classes, out_features))
        bound = 1 / math.sqrt(in_features)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """Project.

        Args:
            features: ``[B, C, D]``.

        Returns:
            ``[B, C, p]`` of unit norm, in float32 or wider; zero where the projection is zero.

        Raises:
            ValueError: If classes or width differ from those of the module.
        """
        if features.dim() != 3 or features.shape[1:] != self.weight.shape[:2]:
            raise ValueError(
                f"`features` has shape {list(features.shape)}: this projection was made for "
                f"[B, {self.weight.shape[0]}, {self.weight.shape[1]}]"
            )
        # One product per class; a loop over slices would make its backward pass quadratic.
        projected = torch.baddbmm(self.bias.unsqueeze(1), features.transpose(0, 1), self.weight).transpose(0, 1)
        return projected / divisible_norm(projected, 2)
