"""The geometry that cross-entropy gives unequal class counts: SELI, simplex-encoded labels interpolation."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nctools.collapse.rows import Rows

# The ideal Gram matrices need a C x C singular value decomposition.
MAX_SELI_CLASSES: Final = 8192


def seli_grams(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Give the Gram matrices of class means and classifier in the SELI geometry, each of Frobenius norm 1.

    ``P diag(n)^(1/2) = V L R^T`` (singular value decomposition), ``G_W = V L V^T``,
    ``G_M = diag(n)^(-1/2) R L R^T diag(n)^(-1/2)``.

    Args:
        counts: ``n_c [C]``, all positive.

    Returns:
        ``G_M`` and ``G_W`` ``[C, C]`` float64.

    Source:
        Thrampoulidis et al., NeurIPS 2022; the form for class means is derived here.

    Example:
        >>> means, rows = seli_grams(torch.tensor([9.0, 9.0, 9.0]))
        >>> torch.allclose(means, rows)
        True
    """
    sizes = counts.double()
    num_classes = len(sizes)
    centring = torch.eye(num_classes, dtype=torch.float64) - 1 / num_classes
    # Square roots by this decomposition: through the eigenvalues of the square half of the digits would be lost.
    left, values, right = torch.linalg.svd(centring * sizes.sqrt())
    rows = (left * values) @ left.T
    shrunk = right / sizes.sqrt()
    means = (shrunk.T * values) @ shrunk
    return means / torch.linalg.matrix_norm(means), rows / torch.linalg.matrix_norm(rows)


def seli_distance(rows: Rows, ideal: Tensor) -> Tensor:
    """Rows of ``E = [M M^T] - [G]``: ``x_c = sqrt(C sum_j E_cj^2)``, whose rms over all classes is ``||E||_F``.

    Args:
        rows: Centred means, or rows of the classifier, of the present classes.
        ideal: Gram matrix of the geometry, of Frobenius norm 1 ``[C, C]``.

    Returns:
        ``[C]``; NaN where all rows are zero and below two classes.

    Source:
        Thrampoulidis et al., NeurIPS 2022.

    Limit:
        0 for cross-entropy with weak decay and these counts; for equal counts ``nc2_etf_error``.
    """
    if rows.num_classes < 2 or rows.flat:
        return torch.full((rows.num_classes,), torch.nan, dtype=torch.float64)
    gram = rows.vectors @ rows.vectors.T
    error = gram / torch.linalg.matrix_norm(gram) - ideal
    errors: Tensor = (rows.num_classes * error.square().sum(dim=1)).sqrt()
    return errors
