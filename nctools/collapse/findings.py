"""What a reader must know beside the numbers: absent classes, trivial cases, floors, sampling noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nctools.collapse.aggregation import quotient_values
from nctools.collapse.frame import Frame
from nctools.collapse.geometry import etf_error_floor
from nctools.collapse.nc2 import nc2_noise_ratio

# Above this share of sampling noise, NC2 says little about the network.
_NOISY = 0.25


def findings(frame: Frame, counts: Sequence[int], num_features: int, class_names: Sequence[str] | None) -> list[str]:
    """Describe degenerate input in sentences.

    Args:
        frame: The present classes.
        counts: Pairs of each declared class.
        num_features: Width ``D``.
        class_names: Names of the declared classes; None numbers them.

    Returns:
        Sentences; none for ordinary input.
    """
    found = []
    absent = [class_name(class_names, index) for index, count in enumerate(counts) if not count]
    if absent:
        found.append(f"no pair of {_listed(absent)}: left out of every mean, centre and target")
    single = [class_name(class_names, index) for index, count in enumerate(counts) if count == 1]
    if single:
        found.append(f"one pair only of {_listed(single)}: no within-class variability")
    if frame.num_classes == 1:
        found.append("only one class is present: NC1 to NC3 are not defined")
    elif frame.degenerate:
        found.append("all class means are equal: NC1 to NC3 are not defined")
    elif frame.num_classes == 2:
        found.append("two classes: their centred means are opposite by construction, so NC2 is trivially at its limit")
    if num_features < frame.num_classes - 1:
        floor = etf_error_floor(frame.num_classes, num_features)
        found.append(
            f"{num_features} features cannot hold a simplex of {frame.num_classes} classes: nc2_etf_error is at least "
            f"{floor:.3f}"
        )
    if not frame.degenerate:
        noise = quotient_values(*nc2_noise_ratio(frame)).group(torch.arange(frame.num_classes))
        if noise > _NOISY:
            found.append(
                f"{100 * noise:.0f} % of the squared length of the class means is sampling noise (nc2_noise_ratio): "
                "NC2 would look collapsed for random features too"
            )
    return found


def class_name(class_names: Sequence[str] | None, index: int) -> str:
    """Name a class.

    Args:
        class_names: Names, or None.
        index: Index of the class.

    Returns:
        Its name, or its number.
    """
    return str(index) if class_names is None else class_names[index]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} class{'' if len(names) == 1 else 'es'} ({shown})"
