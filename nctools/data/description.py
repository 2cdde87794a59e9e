"""What is in a data set: counts, groups, labels per image, which classes come together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nctools.data.dataset import MultiLabelDataset
from nctools.data.label_matrix import class_counts, co_occurrence


@dataclass(frozen=True)
class DatasetDescription:
    """Plain facts about one split; the command line prints them, a plot draws them.

    Args:
        name: Name of the data set.
        split: Name of the split.
        num_images: Number of images N.
        class_names: Names of the C classes.
        class_counts: Images with each class, in this split.
        groups: Named lists of class indices.
        labels_per_image: Entry k is the number of images with exactly k labels.
        mean_labels: Labels per image, on average; NaN without images.
        co_occurrence: int64 ``[C, C]``, images that hold both classes; the diagonal holds the class counts.
        group_co_occurrence: int64 ``[G, G]`` in the order of ``groups``, images with a class of each of both groups;
            the diagonal holds the images with the group.
        missing_labels: Share of the labels that are missing, where all of them are known too; else None.
        notes: What the user should know about the set.
    """

    name: str
    split: str
    num_images: int
    class_names: list[str]
    class_counts: list[int]
    groups: dict[str, list[int]]
    labels_per_image: list[int]
    mean_labels: float
    co_occurrence: NDArray[np.int64]
    group_co_occurrence: NDArray[np.int64]
    missing_labels: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def tail_with_head(self) -> float | None:
        """Share of the images with a tail class that hold a head class too; None without such groups or images."""
        names = list(self.groups)
        if not {"head", "tail"} <= set(names):
            return None
        tail, head = names.index("tail"), names.index("head")
        images = int(self.group_co_occurrence[tail, tail])
        return int(self.group_co_occurrence[head, tail]) / images if images else None

    @property
    def imbalance(self) -> float:
        """Largest class count over smallest; infinite if a class has no image."""
        smallest = min(self.class_counts)
        return max(self.class_counts) / smallest if smallest else float("inf")

    def to_document(self) -> dict[str, object]:
        """Return the facts as lists, numbers and strings, ready for JSON (NaN and infinity become None)."""
        return {
            "name": self.name,
            "split": self.split,
            "num_images": self.num_images,
            "class_names": self.class_names,
            "class_counts": self.class_counts,
            "imbalance": self.imbalance if min(self.class_counts) else None,
            "groups": self.groups,
            "labels_per_image": self.labels_per_image,
            "mean_labels": self.mean_labels if self.num_images else None,
            "co_occurrence": self.co_occurrence.tolist(),
            "group_co_occurrence": self.group_co_occurrence.tolist(),
            "tail_with_head": self.tail_with_head,
            "missing_labels": self.missing_labels,
            "notes": list(self.notes),
        }


def describe_dataset(dataset: MultiLabelDataset) -> DatasetDescription:
    """Count what a data set holds.

    Args:
        dataset: Any split.

    Returns:
        Its facts.

    Raises:
        TypeError: If it is no data set, such as the name of one.

    Example:
        >>> from nctools.data import load_dataset
        >>> facts = describe_dataset(load_dataset("digits_lt"))
        >>> facts.class_counts[:3], facts.labels_per_image[0]
        ([775, 519, 355], 0)
        >>> head, medium, tail = facts.group_co_occurrence  # every tail image holds a head class
        >>> bool(tail[0] == tail[2])
        True
    """
    if not isinstance(dataset, MultiLabelDataset):
        raise TypeError(
            f"describe_dataset takes a MultiLabelDataset, not a {type(dataset).__name__}: "
            # A name alone tells no split, nor where its images lie.
            f"load_dataset({repr(dataset) if isinstance(dataset, str) else 'NAME, SPLIT'})"
        )
    facts = describe_labels(
        dataset.targets.numpy(),
        dataset.class_names,
        dataset.groups,
        name=dataset.name,
        split=dataset.split,
    )
    return replace(facts, missing_labels=_missing(dataset), notes=tuple(dataset.notes))


def describe_labels(
    targets: NDArray[np.generic],
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    *,
    name: str = "",
    split: str = "",
) -> DatasetDescription:
    """Count what labels hold that stand without their images, such as those of a feature file.

    Args:
        targets: ``[N, C]``, not 0 where the image holds the class.
        class_names: C names.
        groups: Named lists of class indices.
        name: Name of the data set.
        split: Name of the split.

    Returns:
        Their facts.

    Example:
        >>> facts = describe_labels(np.array([[1, 0], [1, 1]]), ["cat", "dog"], {"head": [0], "tail": [1]})
        >>> facts.class_counts, facts.labels_per_image, facts.mean_labels
        ([2, 1], [0, 1, 1], 1.5)
    """
    present = targets != 0
    columns = [present[:, list(classes)].any(axis=1) for classes in groups.values()]
    in_group = np.stack(columns, axis=1) if columns else np.zeros((len(present), 0))
    labels = present.sum(axis=1)
    return DatasetDescription(
        name=name,
        split=split,
        num_images=len(present),
        class_names=list(class_names),
        class_counts=class_counts(present),
        groups={group: list(classes) for group, classes in groups.items()},
        labels_per_image=np.bincount(labels, minlength=1).tolist(),
        mean_labels=float(labels.mean()) if len(labels) else float("nan"),
        co_occurrence=co_occurrence(present),
        group_co_occurrence=co_occurrence(in_group),
    )


def _missing(dataset: MultiLabelDataset) -> float | None:
    full = dataset.extras.get("full_targets")
    return None if full is None or not full.any() else 1 - float(dataset.targets.sum() / full.sum())
