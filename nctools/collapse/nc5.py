"""NC5, class means against features from outside the classes."""

from __future__ import annotations

from torch import Tensor

from nctools.collapse.frame import Frame
from nctools.collapse.geometry import unit_rows


def nc5_ood_orthogonality(frame: Frame, ood_mean: Tensor) -> Tensor:
    """``x_c = |cos(mu_c, mu_OOD)|``, uncentred.

    Args:
        frame: The present classes.
        ood_mean: Mean of the out-of-distribution features ``[D]``.

    Returns:
        ``[C]``; NaN where a mean has no direction.

    Source:
        NECO, Ammar et al., ICLR 2024.

    Limit:
        0.
    """
    cosines: Tensor = (unit_rows(frame.means) @ unit_rows(ood_mean[None])[0]).abs().clamp(max=1)
    return cosines
