"""What every number of a report means: rows of the metric catalogue, and those of the scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nctools.collapse.catalogue import METRICS


@dataclass(frozen=True)
class Term:
    """One entry of the glossary.

    Args:
        id: Key, unique on the page.
        title: What it is, in a few words.
        lines: Label and text: formula, source, value at collapse, ...
    """

    id: str
    title: str
    lines: tuple[tuple[str, str], ...]


# As docs/guides/evaluate.md explains them.
_SCORES: Final = (
    ("ap", "average precision of a class", "images are ranked by their score; at each positive image the share of "
     "positives so far; mean over the positives", "↑ 100"),
    ("map", "mean average precision", "mean of the average precision over the classes: all of them, or those of a "
     "group; classes without a test image are left out", "↑ 100"),
    ("average_map", "average mAP", "mean of the mAP of the groups: head, medium and tail count the same, however "
     "many classes they have", "↑ 100"),
    ("g_map", "G-mAP", "the other way round: for each image the average precision of its labels among all classes; "
     "mean over the images", "↑ 100"),
    ("f1_micro", "micro F1", "harmonic mean of precision and recall of predicting each class whose probability is "
     "above 0.5; all decisions pooled, so that frequent classes decide it", "↑ 100"),
    ("f1_macro", "macro F1", "the same for each class by itself; mean over the classes", "↑ 100"),
)  # fmt: skip
SCORE_TERMS: Final = {
    key: Term(key, title, (("how", how), ("best", direction))) for key, title, how, direction in _SCORES
}


def terms_of(metrics: Iterable[str]) -> list[Term]:
    """Give the glossary of metrics.

    Args:
        metrics: Metric ids; those that are not in the catalogue are left out.

    Returns:
        An entry for each, in the given order.

    Example:
        >>> terms_of(["nc1_pinv"])[0].lines[1]
        ('at collapse', '0 (↓ 0)')
    """
    return [_term(name) for name in metrics if name in METRICS]


def _term(name: str) -> Term:
    row = METRICS[name]
    limit = row.limit if row.direction == "-" else f"{row.limit} ({row.direction})"
    lines = (("formula", row.formula), ("at collapse", limit), ("group value", row.aggregator))
    return Term(name, row.title, (*lines, ("source", row.source)))
