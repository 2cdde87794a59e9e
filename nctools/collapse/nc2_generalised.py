"""Generalised NC2, uniformity of the unit rows on the sphere: also where no simplex fits, ``D < C - 1``."""

from __future__ import annotations

import math

from torch import Tensor

from nctools.collapse.rows import PairTile


def nc2g_log_energy_gap(tile: PairTile) -> Tensor:
    """Logarithmic energy above that of the simplex: ``p_ij = -log ||m^_i - m^_j|| + log(2C / (C - 1)) / 2``.

    ``m^`` are the rows scaled to length 1. The mean over all pairs is never negative.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]``; inf for rows of one direction; NaN where a row meets itself and for rows without a direction.

    Source:
        Liu et al., ICML 2023 (hyperspherical uniformity gap); Lu & Steinerberger, 2022; the offset is ours.

    Limit:
        0.
    """
    size = max(tile.num_classes, 2)
    return tile.unit_distances.log().neg_().add_(math.log(2 * size / (size - 1)) / 2)


def log_distances(tile: PairTile) -> Tensor:
    """Give ``-log`` of the distances of the unit rows; their variance is ``nc2g_log_var``.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]``; inf for rows of one direction; NaN where a row meets itself and for rows without a direction.

    Source:
        After Wu & Papyan, NeurIPS 2024.

    Limit:
        All equal.
    """
    return tile.unit_distances.log().neg_()


def distances(tile: PairTile) -> Tensor:
    """Give the distances of the unit rows; their variance is ``nc2g_dist_var``.

    Args:
        tile: Centred means, or rows of the classifier.

    Returns:
        ``[t, C]``; NaN where a row meets itself and for rows without a direction.

    Source:
        After Wu & Papyan, NeurIPS 2024.

    Limit:
        All equal.
    """
    return tile.unit_distances
