"""Which classes of a data set occur together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nctools.figures.drawing import Drawing

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription


def cooccurrence_of(facts: DatasetDescription) -> Drawing:
    """Draw how often each class occurs together with each other.

    Args:
        facts: What ``nctools.data.describe_dataset`` returned.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import cooccurrence_data, cooccurrence_map

    counts, names, groups, pairs = facts.class_counts, facts.class_names, facts.groups, facts.co_occurrence
    return Drawing(
        cooccurrence_map(counts, names, groups, cooccurrence=pairs, name=facts.name, split=facts.split),
        cooccurrence_data(counts, names, groups, cooccurrence=pairs),
    )
