"""Cosines between vectors: of each class-wise feature with its own class's vector, and unit rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nctools.losses._precision import without_autocast

# Shorter vectors have no direction: their cosine is 0, and no gradient of size 1 / norm comes from them.
SHORTEST = 1e-12


def unit_rows(vectors: Tensor) -> Tensor:
    """Scale vectors to length 1; a zero vector stays zero, with a gradient of ordinary size.

    Args:
        vectors: ``[..., D]``, float32 or wider.

    Returns:
        ``[..., D]``.
    """
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / norms.masked_fill(norms < SHORTEST, 1.0)


def classwise_cosine(features: Tensor, class_vectors: Tensor) -> Tensor:
    """Cosine of each class-wise feature with the vector of its own class.

    Args:
        features: ``[B, C, D]``, float32 or wider.
        class_vectors: ``[C, D]``, same dtype; any length.

    Returns:
        ``[B, C]`` in [-1, 1]; 0, without gradient to the feature, for a zero feature.
    """
    with without_autocast(features):
        cosine: Tensor = _ClasswiseCosine.apply(features, unit_rows(class_vectors))  # type: ignore[no-untyped-call]
        return cosine


class _ClasswiseCosine(torch.autograd.Function):
    """``<f[b, c], u[c]> / |f[b, c]|`` for unit rows u.

    Written by hand because memory traffic is the whole cost: one product per class instead of a B x C x D temporary,
    and a backward pass that writes nothing of that size but the gradient itself (2 to 3 times as fast as autograd).
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, units: Tensor) -> Tensor:
        products = torch.bmm(features.transpose(0, 1), units.unsqueeze(2)).squeeze(2).T
        norms: Tensor = torch.linalg.vector_norm(features, dim=2)
        # Division by infinity: cosine 0 and gradient 0 where there is no direction.
        norms = norms.masked_fill_(norms < SHORTEST, torch.inf)
        cosines: Tensor = products / norms
        ctx.save_for_backward(features, units, cosines, norms)
        return cosines.clamp(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        features, units, cosines, norms = ctx.saved_tensors
        scaled = gradient / norms
        to_features = to_units = None
        if ctx.needs_input_grad[0]:
            to_features = torch.mul(units, scaled.unsqueeze(2))
            to_features.addcmul_(features, (-scaled * cosines / norms).unsqueeze(2))
        if ctx.needs_input_grad[1]:
            with without_autocast(features):
                to_units = torch.bmm(features.permute(1, 2, 0), scaled.T.unsqueeze(2)).squeeze(2)
        return to_features, to_units
