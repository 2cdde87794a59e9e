"""NC4, the nearest class mean decides: the share of hits among the pairs of each class. 1 at collapse."""

from __future__ import annotations

from torch import Tensor

from nctools.collapse.frame import Frame


def nc4_agreement(frame: Frame, agreeing: Tensor) -> Tensor:
    """``x_c`` = share of pairs with ``argmax_k(w_k . h + b_k) = argmin_{k present} ||h - mu_k||``.

    Args:
        frame: The present classes.
        agreeing: Number of such pairs ``[C]``, from the second pass.

    Returns:
        ``[C]``.

    Source:
        Papyan, Han & Donoho, PNAS 2020 (1 minus it).

    Limit:
        1.
    """
    return agreeing / frame.counts


def nc4_ncc_accuracy(frame: Frame, nearest_right: Tensor) -> Tensor:
    """``x_c`` = share of pairs whose nearest class mean is their class; for shared features, any label of the image.

    Args:
        frame: The present classes.
        nearest_right: Number of such pairs ``[C]``, from the second pass.

    Returns:
        ``[C]``.

    Source:
        Galanti, György & Hutter, ICLR 2022; Rangamani et al., ICML 2023.

    Limit:
        1.
    """
    return nearest_right / frame.counts
