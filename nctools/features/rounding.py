"""Tells whether features were stored too coarsely for the spread that they have within their classes."""

from __future__ import annotations

import torch
from torch import Tensor

from nctools.features.store import FeatureStore

# Bits after the leading one, and the exponent below which steps stay the same.
_FORMATS = {"float32": (23, -126), "float16": (10, -14)}
# NC1 grows by about this share; below, rounding is of no account beside the noise of sampling.
_TOLERATED = 1e-3


def rounding_share(store: FeatureStore, layer: str) -> float:
    r"""Compare the rounding of stored features with their spread within classes, in one pass over the file.

    .. math:: \frac{\sum_c \mathrm{mean}_{i \in c} \sum_d s(h_{id})^2 / 12}
        {\sum_c \mathrm{mean}_{i \in c} \lVert h_i - \mu_c \rVert^2}

    where :math:`s(h)` is the distance of neighbouring numbers of the stored dtype at the size of :math:`h`. The error
    of rounding is spread evenly over one step, so this is the share of the spread that comes from rounding alone, by
    about which NC1 is too large. Zeros, as a ReLU makes them, are exact.

    Args:
        store: An open feature store.
        layer: Name of the layer.

    Returns:
        The share; infinite if the features of every class are equal, NaN if no class has two pairs.

    Raises:
        UnknownNameError: If there is no such layer.
        StoreError: If the file cannot be read.
    """
    num_classes, width = store.num_classes, store.num_features(layer)
    counts = torch.zeros(num_classes, dtype=torch.float64)
    # About the first feature of each class: far from the origin, squares would drown the spread.
    shifts, sums = (torch.zeros(num_classes, width, dtype=torch.float64) for _ in range(2))
    squares, rounding = (torch.zeros(num_classes, dtype=torch.float64) for _ in range(2))
    for features, classes, _ in store.iterate(layer):
        rows = features.double()
        rounding.index_add_(0, classes, _step(rows, str(store.attrs["dtype"])).square().sum(dim=1) / 12)
        first = torch.full((num_classes,), len(rows)).scatter_reduce_(0, classes, torch.arange(len(rows)), "amin")
        new = ((counts == 0) & (first < len(rows))).nonzero().flatten()
        shifts[new] = rows[first[new]]
        rows -= shifts[classes]
        counts.index_add_(0, classes, torch.ones(len(classes), dtype=torch.float64))
        sums.index_add_(0, classes, rows)
        squares.index_add_(0, classes, rows.square().sum(dim=1))
    spread = (squares - sums.square().sum(dim=1) / counts).clamp(min=0) / counts
    several = counts > 1
    return float((rounding / counts)[several].sum() / spread[several].sum())


def float16_warning(store: FeatureStore, layer: str) -> str | None:
    """Warn of features that were stored as float16 although their spread within classes is near its rounding.

    Args:
        store: An open feature store.
        layer: Name of the layer.

    Returns:
        A sentence with value and mend; None for float32, which is not read, and where NC1 moves by less than 0.1 %.

    Raises:
        UnknownNameError: If there is no such layer.
        StoreError: If the file cannot be read.
    """
    store.kind(layer)  # an unknown layer is an error whatever the dtype
    if store.attrs["dtype"] != "float16":
        return None
    share = rounding_share(store, layer)
    if not share > _TOLERATED:
        return None
    size = (
        f"makes about {100 * share:.2g} % of the spread within the classes, and NC1 is too large by about as much"
        if share < 1
        else "is larger than the spread within the classes, so that NC1 tells nothing"
    )
    return (
        f"the features of layer {layer!r} are stored as float16, whose rounding {size}: "
        "extract them again with dtype='float32' (--dtype float32)"
    )


def _step(values: Tensor, dtype: str) -> Tensor:
    bits, smallest = _FORMATS[dtype]
    # frexp gives a mantissa in [0.5, 1), so its exponent is larger by one.
    exponents = (values.frexp().exponent - 1).clamp(min=smallest)
    return torch.ldexp(torch.ones_like(values), exponents - bits) * (values != 0)
