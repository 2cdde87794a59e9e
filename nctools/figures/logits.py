"""Logits of positives and negatives of several runs."""

from __future__ import annotations

from typing import Unpack

from nctools.figures.drawing import Drawing
from nctools.figures.sources import Paths, as_paths, short_title
from nctools.forward_options import ForwardOptions


def logits_of(
    paths: Paths, *, split: str | None = None, progress: bool = False, **options: Unpack[ForwardOptions]
) -> Drawing:
    """Draw how the logits of positives and of negatives are distributed in each group of classes.

    A class is predicted above the logit 0, a probability of one half; of single labels the largest is predicted, and
    there is no threshold.

    Args:
        paths: Run directories or files of weights.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        progress: Show on stderr what is run over what, and how far it is.
        **options: As for ``nctools.run_scores.scores_of``, which keeps what it finds beside each run.

    Returns:
        The figure and the drawn data.
    """
    import pandas as pd

    from nctools.plots import logit_data, logit_violins
    from nctools.run_scores import scores_of

    paths = as_paths(paths)
    parts = []
    for path in paths:
        scores = scores_of(path, split=split, progress=progress, **options)
        parts.append(
            logit_data(
                short_title(path, paths),
                scores.logits,
                scores.targets,
                scores.groups,
                unknown=scores.unknown,
                threshold=None if scores.single_label else 0.0,
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return Drawing(logit_violins(table), table)
