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

    Raises:
        TypeError: If it is something else, such as the name of a data set.
    """
    from nctools.data.description import DatasetDescription
    from nctools.plots import distribution, distribution_data

    if not isinstance(facts, DatasetDescription):
        raise TypeError(
            f"distribution_of takes what describe_dataset returns, not a {type(facts).__name__}: distribution_of("
            f"describe_dataset({f'load_dataset({facts!r})' if isinstance(facts, str) else 'a MultiLabelDataset'}))"
        )
    labels, pairs = facts.labels_per_image, facts.co_occurrence
    counts, names, groups = facts.class_counts, facts.class_names, facts.groups
    which = {"name": facts.name, "split": facts.split}
    return Drawing(
        distribution(counts, names, groups, labels_per_image=labels, cooccurrence=pairs, **which),
        distribution_data(counts, names, groups, labels_per_image=labels, cooccurrence=pairs),
    )
