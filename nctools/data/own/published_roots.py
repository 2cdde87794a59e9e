"""Refuses folders of published data sets, which look like images sorted by class but are not. Loads no torch."""

from __future__ import annotations

import re
from pathlib import Path

from nctools.data.folder_search import folders_below
from nctools.data.own.folder_walk import folder_called
from nctools.errors import DatasetError

_YEAR = re.compile(r"VOC20\d\d")
# What folders of the archives are called, by the name of the set.
_ARCHIVES = {
    "voc": re.compile(rf"VOCdevkit|{_YEAR.pattern}"),
    "coco": re.compile(r"(train|val|test)20\d\d"),
    "vg200": re.compile(r"VG_100K(_2)?"),
    "odir5k": re.compile(r"(Training|Testing) Images"),
}


def refuse_published_root(root: Path) -> None:
    """Refuse a folder that holds parts of a published data set, or images beside annotations, and no classes.

    Args:
        root: What would be taken for a folder of images sorted by class.

    Raises:
        DatasetError: If it is such a folder; it says how these images are given.
    """
    folders = folders_below(root, 2)[1:]
    for folder in folders:
        name = next((name for name, pattern in _ARCHIVES.items() if pattern.fullmatch(folder.name)), None)
        if name is not None:
            years = [str(year) for year in folders if _YEAR.fullmatch(year.name)]
            raise DatasetError(
                f"{root} holds {folder.relative_to(root)}, which is part of a published data set, not a class: use "
                f"--dataset {name} --data-root {root} (name {name!r} and root=... in Python)"
                + (f", or give one year, {max(years)}" if years else "")
            )
        if folder.name.lower() == "jpegimages" and folder.parent == root:
            raise DatasetError(
                f"{folder} is where sets in the form of VOC have their images, not a class, but there is no .xml file "
                f"in {root / 'Annotations'}: add them"
            )
        if folder.name.lower() == "jpegimages" and folder_called(folder.parent, "annotations") is not None:
            raise DatasetError(
                f"{folder.parent} is a data set in the form of VOC, not a class of {root}: give that folder alone"
            )
