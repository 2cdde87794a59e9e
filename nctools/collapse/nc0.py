"""NC0, the rows of the classifier add up to zero: necessary for NC2 and NC3."""

from __future__ import annotations

import torch
from torch import Tensor


def nc0_row_sum(weight: Tensor) -> float:
    """Squared length of the sum of the classifier's rows, over their number: ``(1/C) ||sum_c w_c||^2``.

    Args:
        weight: ``W [C, D]``, all declared classes.

    Returns:
        The value. A version divided by D is in use, too.

    Source:
        Zhao et al., ICLR 2026 (arXiv 2602.16642).

    Limit:
        0.
    """
    return float(weight.sum(dim=0).square().sum()) / len(weight)


def nc0_row_sum_rel(weight: Tensor) -> float:
    """``nc0_row_sum / ||W||_F^2``, free of scale, in [0, 1].

    Args:
        weight: ``W [C, D]``, all declared classes.

    Returns:
        The value; NaN for a classifier of zeros.

    Limit:
        0.
    """
    size = float(weight.square().sum())
    return nc0_row_sum(weight) / size if size > 0 else torch.nan
