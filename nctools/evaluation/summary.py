"""All scores of a set of predictions in one object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nctools.evaluation.arrays import Matrix, as_scores_and_targets, as_unknown
from nctools.evaluation.by_group import mean_by_group
from nctools.evaluation.calibration import BINS, expected_calibration_error
from nctools.evaluation.protocols import Protocol
from nctools.evaluation.ranking import average_precision, g_map
from nctools.evaluation.thresholds import Average, DecisionScores, decision_scores


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate_scores`` found; all scores lie in [0, 1], NaN where there is nothing to average.

    Args:
        num_images: Number of images N.
        num_unlabelled: Images without any label: negatives for every class, left out of G-mAP.
        class_names: Names of the C classes.
        groups: Named lists of class indices.
        average_precision: One value per class, NaN without positives.
        mean_average_precision: mAP over ``"all"`` classes and over each group.
        g_map: Mean over images of the average precision over classes.
        decisions: Precision, recall and F1 at ``threshold``, averaged "micro", "macro", "weighted".
        expected_calibration_error: ECE of each class in 15 bins, NaN without known entries.
        mean_expected_calibration_error: Its mean over ``"all"`` classes and over each group, of the classes that mAP
            is the mean of.
        left_out: Names of the classes without positives, which no mean over classes contains.
        threshold: A class is predicted when its probability is greater.
        protocol: How average precision per class was counted (``nctools.evaluation.PROTOCOLS``). G-mAP is tie-aware in
            any case.
    """

    num_images: int
    num_unlabelled: int
    class_names: list[str]
    groups: dict[str, list[int]]
    average_precision: list[float]
    mean_average_precision: dict[str, float]
    g_map: float
    decisions: dict[Average, DecisionScores]
    expected_calibration_error: list[float]
    mean_expected_calibration_error: dict[str, float]
    left_out: list[str]
    threshold: float
    protocol: Protocol = "tie-aware"

    @property
    def average_map(self) -> float:
        """Mean of the mAP of the groups ("average mAP" of COMIC): each group counts once, however few its classes are.

        A group without a value is left out; NaN without groups.
        """
        groups = [value for group, value in self.mean_average_precision.items() if group != "all"]
        known = [value for value in groups if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan

    def values(self) -> dict[str, float]:
        """Return every score that is not of a single class, by its place in the document: ``"decisions.micro.f1"``."""
        return {
            **{f"mean_average_precision.{group}": value for group, value in self.mean_average_precision.items()},
            "average_map": self.average_map,
            "g_map": self.g_map,
            **{
                f"decisions.{average}.{name}": value
                for average, scores in self.decisions.items()
                for name, value in scores.to_dict().items()
            },
            **{
                f"mean_expected_calibration_error.{group}": value
                for group, value in self.mean_expected_calibration_error.items()
            },
        }

    def to_document(self) -> dict[str, object]:
        """Return everything as dicts, lists and numbers, ready for JSON; NaN becomes None."""
        return {
            "protocol": self.protocol,
            "num_images": self.num_images,
            "num_unlabelled": self.num_unlabelled,
            "mean_average_precision": _without_nan(self.mean_average_precision),
            **_without_nan({"average_map": self.average_map, "g_map": self.g_map}),
            "threshold": self.threshold,
            "decisions": {average: _without_nan(scores.to_dict()) for average, scores in self.decisions.items()},
            "calibration_bins": BINS,
            "mean_expected_calibration_error": _without_nan(self.mean_expected_calibration_error),
            "average_precision": self._by_class(self.average_precision),
            "expected_calibration_error": self._by_class(self.expected_calibration_error),
            "groups": self.groups,
            "left_out": self.left_out,
        }

    def _by_class(self, values: Sequence[float]) -> dict[str, float | None]:
        return _without_nan(dict(zip(self.class_names, values, strict=True)))


def evaluate_scores(
    scores: Matrix,
    targets: Matrix,
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    threshold: float = 0.5,
    unknown: Matrix | None = None,
    protocol: Protocol = "tie-aware",
) -> Evaluation:
    """Compute mAP by group, G-mAP, precision, recall and F1 at a threshold, and calibration by group.

    Args:
        scores: **Probabilities** ``[N, C]``. Average precision alone would take logits too; threshold and calibration
            do not.
        targets: ``[N, C]``, 1 where the image holds the class, else 0.
        class_names: C different names.
        groups: Named lists of class indices, made from the training counts.
        threshold: A class is predicted when its probability is greater.
        unknown: ``[N, C]``, 1 where it is not known whether the image holds the class (``targets`` has 0 there): the
            entry counts neither as positive nor as negative.
        protocol: How average precision per class is counted; see ``average_precision``. G-mAP stays tie-aware, as in
            the code that it comes from.

    Returns:
        All scores, with the names of the classes that had to be left out.

    Raises:
        UnknownNameError: If there is no such protocol.
        ValueError: If shapes or names do not fit, a score is NaN (sample and class are named) or outside [0, 1], or a
            target is neither 0 nor 1.

    Example:
        >>> scores = np.array([[0.9, 0.2], [0.3, 0.4]])
        >>> found = evaluate_scores(scores, np.array([[1, 0], [0, 0]]), ["cat", "dog"], {"head": [0], "tail": [1]})
        >>> found.mean_average_precision, found.left_out
        ({'all': 1.0, 'head': 1.0, 'tail': nan}, ['dog'])
    """
    names = list(class_names)
    values, present = as_scores_and_targets(scores, targets, class_names=names)
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise ValueError(
            f"`class_names` has {len(names)} names, {len(set(names))} of them different, but `scores` has "
            f"{values.shape[1]} classes (shape {list(values.shape)}): give one name of its own to each class."
        )
    decided = ranked = values
    if unknown is not None:
        # Ranked last and predicted absent, such an entry enters neither precision nor recall nor average precision.
        left_out = as_unknown(unknown, present)
        decided = np.where(left_out, 0, values)
        ranked = np.where(left_out, -np.inf, values)
    per_class = average_precision(ranked, present, protocol=protocol)
    decisions = decision_scores(decided, present, threshold=threshold)
    off = expected_calibration_error(decided, present, unknown=unknown)
    return Evaluation(
        num_images=len(values),
        num_unlabelled=int(np.count_nonzero(~present.any(axis=1))),
        class_names=names,
        groups={name: list(classes) for name, classes in groups.items()},
        average_precision=per_class.tolist(),
        mean_average_precision=mean_by_group(per_class, groups),
        g_map=g_map(ranked, present),
        decisions=decisions,
        expected_calibration_error=off.tolist(),
        mean_expected_calibration_error=mean_by_group(np.where(np.isnan(per_class), np.nan, off), groups),
        left_out=[name for name, value in zip(names, per_class, strict=True) if np.isnan(value)],
        threshold=threshold,
        protocol=protocol,
    )


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
