"""Where images lie on disk, by name: VOC, COCO, VG200, ODIR-5K, and the user's own data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nctools.data.annotations import Annotations
from nctools.errors import DatasetError

Progress = Callable[[int, int], None]

SOURCES = ("voc", "coco", "vg200", "odir5k")


@dataclass(frozen=True)
class Reading:
    """How labels are read.

    Args:
        cache: Folder for labels whose reading took a second or more; None keeps none.
        progress: Called now and then with what is done and the total.
    """

    cache: Path | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class ImageSource:
    """Images of one kind on disk; labels are read when they are asked for.

    Args:
        name: One of ``SOURCES``, or the path of the user's data.
        train: Reads the images that training sets are drawn from.
        others: Reads the other splits, by name.
        single_label: Whether each image holds exactly one class.
        person_of: Gives the name of whom each training image shows; None: every image stands for itself.
        notes: What the user should know.
    """

    name: str
    train: Callable[[], Annotations]
    others: Mapping[str, Callable[[], Annotations]] = field(default_factory=dict)
    single_label: bool = False
    person_of: Callable[[Annotations], list[str]] | None = None
    notes: tuple[str, ...] = ()


def open_source(name: str, root: Path | None, reading: Reading | None = None) -> ImageSource:
    """Find images on disk.

    Args:
        name: One of ``SOURCES``, or the path of the user's own data.
        root: Folder that holds them; for own data, the folder that paths in a table start from.
        reading: Cache and progress.

    Returns:
        The source.

    Raises:
        DatasetError: If the images or their labels are not where they should be.
    """
    how = reading or Reading()
    if name not in SOURCES:
        return _own(name, root)
    folder = data_root(name, root)
    return {"voc": _voc, "coco": _coco, "vg200": _vg, "odir5k": _odir}[name](folder, how)


def data_root(name: str, given: Path | None) -> Path:
    """Return the folder that holds the images of a set with a name.

    Args:
        name: Name of the set, for the message.
        given: What the user gave, if anything; else the environment variable ``NCTOOLS_DATA_ROOT`` is asked.

    Returns:
        The folder; whether it exists has been looked at.

    Raises:
        DatasetError: If none is given, or it is no folder.
    """
    text = os.environ.get("NCTOOLS_DATA_ROOT") if given is None else str(given)
    if not text:
        raise DatasetError(
            f"{name} needs the folder that holds its images: give --data-root DIR (root=... in Python), or set "
            "NCTOOLS_DATA_ROOT"
        )
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}, the data root of {name}, {'is no folder' if folder.exists() else 'does not exist'}"
        )
    return folder
