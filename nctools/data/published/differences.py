"""Says in words how imported files differ from what is known of the published split, and groups from the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nctools.collapse.groups import head_medium_tail
from nctools.data.published.facts import PLT_VOC_CLASSES, VOC_CLASSES, PublishedSplit, id_digest

# Most classes that are listed with their counts.
_LISTED = 10


def in_plt_order(values: Sequence[int]) -> list[int]:
    """Put values of the 20 VOC classes in alphabetical order into the order of the published PLT-VOC file.

    Args:
        values: A value for each class.

    Returns:
        The values in the other order; as they are where there are not 20.
    """
    if len(values) != len(VOC_CLASSES):
        return list(values)
    return [values[VOC_CLASSES.index(name)] for name in PLT_VOC_CLASSES]


def differences_from_facts(
    facts: PublishedSplit, ids: Sequence[str], class_names: Sequence[str], counts: Sequence[int]
) -> list[str]:
    """Compare with what is known of a published split.

    Args:
        facts: What is known.
        ids: Ids of the training images.
        class_names: Names of the C classes.
        counts: Images with each class.

    Returns:
        A sentence for each difference, with both numbers; empty if there is none.
    """
    notes = []
    sizes = tuple(len(members) for members in head_medium_tail(counts).values())
    known_sizes = facts.group_sizes
    for what, known, found in [
        ("images", f"{facts.num_images:,}", f"{len(ids):,}"),
        ("labels", f"{facts.num_labels:,}", f"{sum(counts):,}"),
        ("head / medium / tail classes", " / ".join(map(str, known_sizes)), " / ".join(map(str, sizes))),
    ]:
        if known != found:
            notes.append(f"published {facts.title} has {known} {what}, these files have {found}")
    if facts.class_counts is None:
        for what, known_count, count in zip(
            ("the largest", "the smallest"), facts.count_range, (max(counts), min(counts)), strict=True
        ):
            if known_count != count:
                notes.append(f"{what} class of published {facts.title} has {known_count:,} images, here {count:,}")
    else:
        notes += _count_differences(facts.title, class_names, facts.class_counts, counts)
    if facts.digest is not None and id_digest(ids) != facts.digest:
        notes.append(
            f"the ids are not those of published {facts.title}: SHA-256 of the sorted ids is "
            f"{id_digest(ids)[:12]}..., not {facts.digest[:12]}..."
        )
    elif facts.digest_in_order is not None and id_digest(ids, in_order=True) != facts.digest_in_order:
        notes.append(f"the ids are those of published {facts.title} in another order")
    return notes


def differences_from_rule(groups: Mapping[str, Sequence[int]], counts: Sequence[int]) -> list[str]:
    """Compare published groups with the rule: head from 100 images on, medium from 20 on.

    Args:
        groups: ``"head"``, ``"medium"`` and ``"tail"``.
        counts: Images with each class.

    Returns:
        A sentence for each pair of groups that share classes; empty if the rule gives the same groups.

    Example:
        >>> differences_from_rule({"head": [0], "medium": [1], "tail": []}, [100, 19])
        ['class_split calls class 1 (19 images) medium, the rule (100, 20) tail: the file wins']
    """
    notes = []
    for rule, members in head_medium_tail(counts).items():
        for name, published in groups.items():
            shared = [index for index in members if index in set(published)]
            if name != rule and shared:
                classes = f"class{'es' if len(shared) > 1 else ''} {', '.join(map(str, shared))}"
                images = ", ".join(str(counts[index]) for index in shared)
                notes.append(
                    f"class_split calls {classes} ({images} images) {name}, the rule (100, 20) {rule}: the file wins"
                )
    return notes


def _count_differences(
    title: str, class_names: Sequence[str], known: Sequence[int], counts: Sequence[int]
) -> list[str]:
    different = [index for index, count in enumerate(counts) if count != known[index]]
    notes = [
        f"published {title} has {known[index]:,} {class_names[index]} images, these files have {counts[index]:,}"
        for index in different[:_LISTED]
    ]
    if len(different) > _LISTED:
        notes.append(f"{len(different) - _LISTED} more classes have other counts than in published {title}")
    return notes
