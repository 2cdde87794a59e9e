"""NC4, the nearest class mean decides: the share of hits among the pairs of each class. 1 at collapse."""

from __future__ import annotations

import torch
from torch import Tensor


def nc4_agreement(agreeing: Tensor, decided: Tensor) -> Tensor:
    """``x_c`` = share of pairs with ``argmax_k(w_k . h + b_k) = argmin_{k present} ||h - mu_k||``.

    Args:
        agreeing: Number of such pairs ``[C]``, from the second pass.
        decided: Number of pairs that were looked at ``[C]``: all, or a sample.

    Returns:
        ``[C]``; NaN for classes without such a pair.

    Source:
        Papyan, Han & Donoho, PNAS 2020 (1 minus it).

    Limit:
        1.
    """
    return agreeing / decided.masked_fill(decided == 0, torch.nan)


def nc4_ncc_accuracy(nearest_right: Tensor, decided: Tensor) -> Tensor:
    """``x_c`` = share of pairs whose nearest class mean is their class; for shared features, any label of the image.

    Args:
        nearest_right: Number of such pairs ``[C]``, from the second pass.
        decided: Number of pairs that were looked at ``[C]``: all, or a sample.

    Returns:
        ``[C]``; NaN for classes without such a pair.

    Source:
        Galanti, György & Hutter, ICLR 2022; Rangamani et al., ICML 2023.

    Limit:
        1.
    """
    return nearest_right / decided.masked_fill(decided == 0, torch.nan)
