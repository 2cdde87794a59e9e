"""Class counts, labels per image and co-occurrence of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nctools.figures.drawing import Drawing

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription


def distribution_of(facts: DatasetDescription) -> Drawing:
    """Draw what ``describe_dataset`` found.

    Args:
        facts: What ``nctools.data.describe_dataset`` returned.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import distribution, distribution_data

    labels, pairs = facts.labels_per_image, facts.co_occurrence
    counts, names, groups = facts.class_counts, facts.class_names, facts.groups
    which = {"name": facts.name, "split": facts.split}
    return Drawing(
        distribution(counts, names, groups, labels_per_image=labels, cooccurrence=pairs, **which),
        distribution_data(counts, names, groups, labels_per_image=labels, cooccurrence=pairs),
    )
