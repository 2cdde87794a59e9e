"""The data sets of photographs that have a name: which training images they take from which source."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations
from nctools.data.folder_search import folders_below
from nctools.data.group_rules import groups_from
from nctools.data.label_matrix import some_names
from nctools.data.partial_labels import drop_labels
from nctools.data.parts import Parts
from nctools.data.published.draws import published_draw
from nctools.data.published.facts import PUBLISHED_SPLITS, PublishedSplit
from nctools.data.published.places import find_published
from nctools.data.published.splits import LabelsOf, import_published, published_groups
from nctools.data.sources import ImageSource, Reading, open_source
from nctools.data.split_file import SplitFile
from nctools.errors import DatasetError

# Nominal share of the labels that the published partial-label sets lack.
_DROPPED = 0.4
# Listed by nobody who looks for a small file: they hold a hundred thousand.
_IMAGE_FOLDERS = frozenset({"VG_100K", "VG_100K_2", "images", "images2"})


def parts_of_source(source: ImageSource) -> Parts:
    """Take all images of a source.

    Args:
        source: Where the images lie.

    Returns:
        Its training images with all their labels, and its other splits.
    """
    train = source.train().checked()
    return Parts(
        name=Path(source.name).stem,
        train=train,
        others=source.others,
        single_label=source.single_label,
        person_of=None if source.person_of is None else source.person_of(train),
        notes=source.notes,
    )


def parts_of_split(split: SplitFile, source: ImageSource) -> Parts:
    """Take the images that a split file names.

    Args:
        split: Ids and labels of the training images.
        source: Where its images lie.

    Returns:
        The training images of the split with its labels, and the other splits of the source.

    Raises:
        DatasetError: If the classes differ, or an image of the split is not in the source.
    """
    whole = parts_of_source(source)
    if split.class_names != whole.train.class_names:
        raise DatasetError(
            f"the split {split.name} has {len(split.class_names)} classes ({some_names(split.class_names)}), "
            f"but {whole.train.name} has {len(whole.train.class_names)} ({some_names(whole.train.class_names)}): "
            "the split belongs to other images"
        )
    place = {name: row for row, name in enumerate(whole.train.ids)}
    missing = [name for name in split.ids if name not in place]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(split.ids)} images of the split {split.name} are not in {whole.train.name} "
            f"({len(place)} images): {', '.join(missing[:5])}: is the data root that of {split.source}?"
        )
    rows = [place[name] for name in split.ids]
    found = whole.train.select(rows)
    full = _full_labels(split, found)
    # Difficult objects are left away only where the split's own labels, dropped ones too, show their class.
    doubtful = None if found.doubtful is None else found.doubtful & (split.labels if full is None else full)
    # What the split's own labels show is known, whatever the source says by now.
    unknown = None if found.unknown is None else found.unknown & (1 - (split.labels if full is None else full))
    return replace(
        whole,
        name=split.name,
        train=replace(found, labels=split.labels, doubtful=doubtful, unknown=unknown),
        full_labels=full,
        groups=split.groups,
        person_of=None if whole.person_of is None else [whole.person_of[row] for row in rows],
        notes=(*whole.notes, *split.notes),
    )


def published_parts(name: str, root: Path, reading: Reading) -> Parts:
    """Make a published training set: from the authors' files where the user has them, else by repeating their draw.

    Args:
        name: ``"voc_lt"``, ``"coco_lt"``, ``"plt_voc"`` or ``"plt_coco"``.
        root: Folder of the images; the authors' files are looked for in their usual places below it.
        reading: Cache and progress.

    Returns:
        The parts.

    Raises:
        DatasetError: If images or labels are missing, or the draw does not give the published ids and there is no file.
    """
    facts = PUBLISHED_SPLITS[name]
    source = open_source(facts.source, root, reading)
    files = find_published(root, name)
    if files:
        split = import_published(files, name=name, labels_of=labels_reader(root, reading))
        note = f"{facts.title} is that of the authors' files: {', '.join(map(str, files))}"
        return parts_of_split(replace(split, notes=[note, *split.notes]), source)
    return _drawn(facts, source, root, reading)


def labels_reader(root: Path | None, reading: Reading) -> LabelsOf:
    """Give a function that reads the labels of images from their own annotations.

    Args:
        root: Folder of the images.
        reading: Cache and progress.

    Returns:
        Called with a source, it gives the annotations of all its training images.
    """
    return lambda source: open_source(source, root, reading).train().checked()


def whole_parts(name: str, root: Path, reading: Reading) -> Parts:
    """Take all images of a source that has a name.

    Args:
        name: One of ``nctools.data.sources.SOURCES``.
        root: Folder of the images.
        reading: Cache and progress.

    Returns:
        The parts.

    Raises:
        DatasetError: If images or labels are missing.
    """
    parts = parts_of_source(open_source(name, root, reading))
    return _with_published_groups(parts, root) if name == "vg200" else parts


def _with_published_groups(parts: Parts, root: Path) -> Parts:
    # The published groups of VG200 are not those of the rule: three classes with 19 images are called medium.
    files = [
        path
        for folder in folders_below(root, 2, closed=_IMAGE_FOLDERS)
        if (path := folder / "class_split.pkl").is_file()
    ]
    if not files:
        return parts
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        groups = published_groups(files[:1])
    if sum(map(len, groups.values())) != len(parts.train.class_names):
        return parts
    counted = groups_from(None, parts.train.class_counts, parts.train.class_names)
    other = [name for group in groups for name in _named(parts, set(groups[group]) - set(counted.get(group, [])))]
    notes = [str(warning.message) for warning in told]
    if other:
        notes.append(f"groups are those of {files[0]}; by the counts {', '.join(other)} would be in another group")
    return replace(parts, groups=groups, notes=(*parts.notes, *notes))


def _named(parts: Parts, classes: set[int]) -> list[str]:
    return [parts.train.class_names[index] for index in sorted(classes)]


def _full_labels(split: SplitFile, found: Annotations) -> NDArray[np.uint8] | None:
    # Of published partial labels nobody but the images' own annotations knows the whole.
    if split.full_labels is not None:
        return split.full_labels
    full = found.certain | split.labels
    return full if (full > split.labels).any() else None


def _drawn(facts: PublishedSplit, source: ImageSource, root: Path, reading: Reading) -> Parts:
    parts = parts_of_source(source)
    pool = parts.train
    tail, notes = published_draw(facts, pool.ids, pool.labels, voc_labels=_voc_labels(facts, root, reading))
    train = pool.select(tail.indices)
    drawn = replace(parts, name=facts.name, train=train, notes=(*parts.notes, *notes))
    return _partial(drawn, facts) if facts.name.startswith("plt_") else drawn


def _partial(parts: Parts, facts: PublishedSplit) -> Parts:
    # Which labels the authors dropped is known from their file only. Theirs leaves difficult objects out.
    train = parts.train
    dropped = drop_labels(train.certain, _DROPPED, seed=0)
    note = (
        f"{facts.title}: the images are the published ones, the dropped labels are not ({dropped.labels.sum()} are "
        f"left, {facts.num_labels} in the authors' file): put that file below the data root to have theirs"
    )
    return replace(
        parts,
        train=replace(train, labels=dropped.labels, doubtful=None),
        full_labels=train.certain,
        notes=(*parts.notes, note),
    )


def _voc_labels(facts: PublishedSplit, root: Path, reading: Reading) -> NDArray[np.uint8] | None:
    # The authors drew from COCO after VOC: people who have both mostly keep them side by side.
    if facts.source == "coco":
        for folder in (root, root.parent):
            try:
                return open_source("voc", folder, reading).train().checked().labels
            except DatasetError:
                continue
    return None
