"""What a reader must know beside the numbers: absent classes, trivial cases, floors, sampling noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nctools.collapse.aggregation import quotient_values
from nctools.collapse.geometry import etf_error_floor
from nctools.collapse.measured import Measured
from nctools.collapse.nc2 import nc2_noise_ratio

# Above this share of sampling noise, NC2 says little about the network.
_NOISY = 0.25


def findings(measured: Measured, counts: Sequence[int], class_names: Sequence[str] | None) -> list[str]:
    """Describe degenerate input in sentences.

    Args:
        measured: Sums of the frame of all classes.
        counts: Pairs of each declared class.
        class_names: Names of the declared classes; None numbers them.

    Returns:
        Sentences; none for ordinary input.
    """
    found, frame = [], measured.frame
    few = [
        class_name(class_names, index) for index, count in enumerate(counts) if 0 < count < measured.settings.min_count
    ]
    if few:
        found.append(
            f"fewer than min_count={measured.settings.min_count} pairs of {_listed(few)}: left out like absent ones"
        )
    absent = [class_name(class_names, index) for index, count in enumerate(counts) if not count]
    if absent:
        found.append(f"no pair of {_listed(absent)}: NaN, and left out of every mean, centre and target")
    single = [
        class_name(class_names, index)
        for index, count in enumerate(counts)
        if count == 1 >= measured.settings.min_count
    ]
    if single:
        found.append(f"one pair only of {_listed(single)}: no within-class variability, left out where it is needed")
    if frame.num_classes == 1:
        found.append("only one class is present: NC1 to NC3 are not defined")
    elif frame.degenerate:
        found.append("all class means are equal: NC1 to NC3 are not defined (nc1_cdnv is infinite)")
    elif frame.num_classes == 2:
        found.append("two classes: their centred means are opposite by construction, so NC2 is trivially at its limit")
    if frame.num_features < frame.num_classes - 1:
        floor = etf_error_floor(frame.num_classes, frame.num_features)
        found.append(
            f"{frame.num_features} features cannot hold a simplex of {frame.num_classes} classes: "
            f"nc2_etf_error is at least {floor:.3f}"
        )
    part = int((frame.counts * ~measured.divisors.isnan()).sum())
    if measured.within is not None and part <= frame.num_features + frame.num_classes:
        found.append(
            f"nc1_vci needs more pairs than features and classes together: {part} pairs of "
            f"{frame.num_features} features and {frame.num_classes} classes look collapsed whatever the labels"
        )
    return found + _noise(measured)


def _noise(measured: Measured) -> list[str]:
    if measured.squares is None:
        return []
    ratios = quotient_values(measured.grouping, *nc2_noise_ratio(measured.frame, measured.noise))
    noisy = [f"{name} {value:.2f}" for name, value in ratios.groups.items() if value > _NOISY]
    if not noisy:
        return []
    return [
        f"nc2_noise_ratio is above {_NOISY} ({', '.join(noisy)}): so much of the squared length of the class means "
        "would come from sampling noise alone, and NC2 would look collapsed for random features too"
    ]


def small_frames(measured: Mapping[str, Measured]) -> list[str]:
    """Name the groups whose own frame is trivial, with ``scope="within"``.

    Args:
        measured: Sums by frame; ``"all"`` and, with that scope, each group.

    Returns:
        One sentence, or none.
    """
    two = [name for name, part in measured.items() if name != "all" and part.frame.num_classes == 2]
    if not two:
        return []
    return [
        f"scope='within' leaves two classes in {', '.join(two)}: their centred means are opposite by construction, "
        "so NC2 is trivially at its limit there"
    ]


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
