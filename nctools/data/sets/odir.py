"""Finds ODIR-5K on the disk, reads its labels and splits it by patient. Loads no torch."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nctools.data.annotations import Annotations
from nctools.data.folder_search import files_in, folders_below
from nctools.data.label_matrix import class_counts, rarest_class
from nctools.data.portable_random import check_seed
from nctools.data.sets.odir_table import is_odir_table, read_odir_tables
from nctools.errors import DatasetError

OdirSplit = Literal["train", "test"]
# In the order of the columns N, D, G, C, A, H, M, O.
ODIR_CLASSES = (
    "Normal", "Diabetes", "Glaucoma", "Cataract", "Age-related macular degeneration", "Hypertension", "Myopia", "Other",
)  # fmt: skip
TEST_SHARE = 0.2

_DEPTH = 2
_TEST_WORDS = ("test", "off-site", "on-site", "offsite", "onsite", "off_site", "on_site")
_FORM = "a table (.csv, .tsv) with the header ID,N,D,G,C,A,H,M,O"
_EXPORT = "save it as CSV in UTF-8 from a spreadsheet, or by pandas.read_excel(FILE).to_csv(NEW_FILE, index=False)"
# So many of the images are looked for in each folder that may hold them.
_TRIED = 20


@dataclass(frozen=True)
class OdirFolders:
    """What of ODIR-5K lies on the disk.

    Args:
        root: Where it was looked for.
        train_tables: The table of the training patients; more than one cannot be read.
        test_tables: Tables of other patients, known by ``test``, ``off-site`` or ``on-site`` in their names.
        image_folders: Folders with ``image`` in their names.
        unread: Spreadsheets, which must be saved as CSV first.
    """

    root: Path
    train_tables: tuple[Path, ...]
    test_tables: tuple[Path, ...]
    image_folders: tuple[Path, ...]
    unread: tuple[Path, ...]

    @property
    def missing(self) -> list[str]:
        """What is missing or in the way, a sentence for each; empty if everything is there."""
        where = f"{self.root} or up to {_DEPTH} levels below"
        sentences = []
        if not self.train_tables:
            mend = f"{self.unread[0]} is a spreadsheet: {_EXPORT}" if self.unread else f"give the folder with {_FORM}"
            sentences.append(f"ODIR-5K has no table of labels in {where}: {mend}")
        if len(self.train_tables) > 1:
            tables = " and ".join(map(str, self.train_tables[:3]))
            sentences.append(f"ODIR-5K has {len(self.train_tables)} tables of labels in {where}, {tables}: keep one")
        if not self.image_folders:
            sentences.append(f'ODIR-5K has no folder of images in {where}; the usual name is "Training Images"')
        return sentences


def find_odir(root: str | os.PathLike[str]) -> OdirFolders:
    r"""Find the tables and images of ODIR-5K.

    Args:
        root: The folder that holds them, or one up to two levels above; or the table itself, where there are several.

    Returns:
        What was found; its ``missing`` says what was not.

    Raises:
        DatasetError: If ``root`` does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     _ = Path(root, "labels.csv").write_text("ID,N,D,G,C,A,H,M,O\n")
        ...     Path(root, "Training Images").mkdir()
        ...     found = find_odir(root)
        >>> found.train_tables[0].name, found.missing
        ('labels.csv', [])
    """
    root = Path(root)
    chosen = root if root.is_file() else None
    folders = folders_below(root.parent if chosen else root, _DEPTH)
    tables = [path for folder in folders for path in files_in(folder, ".csv", ".tsv") if is_odir_table(path)]
    test = [path for path in tables if _is_test(path) and path != chosen]
    train = [path for path in tables if not _is_test(path) or path == chosen]
    if chosen is not None and chosen not in train:
        unread = f": {_EXPORT}" if chosen.suffix.lower() in {".xlsx", ".xls"} else ""
        raise DatasetError(f"{chosen} is not {_FORM}{unread}")
    return OdirFolders(
        root,
        (chosen,) if chosen else tuple(train),
        tuple(test),
        tuple(folder for folder in folders if "image" in folder.name.lower()),
        tuple(path for folder in folders for path in files_in(folder, ".xlsx", ".xls")),
    )


def odir_annotations(root: str | os.PathLike[str], split: OdirSplit, *, seed: int = 0) -> Annotations:
    """Read the labels of ODIR-5K, for each eye those of its patient.

    Where the root has a table whose name says ``test``, ``off-site`` or
    ``on-site``, its patients are the test; otherwise a fifth of the patients is, drawn from the seed.

    Args:
        root: The folder that holds table and images; see ``find_odir``.
        split: ``"train"`` or ``"test"``.
        seed: Of the draw, where there is one.

    Returns:
        Both eyes of each patient, with ids such as ``"17_left"``; the name says how the split was made. What is wrong
        with single rows is in ``problems``. Whether the image files are there has not been looked at.

    Raises:
        DatasetError: If there is no table, or several, or one cannot be read.
        ValueError: If there is no such split, or the seed is negative.

    Example:
        >>> odir_annotations("missing", "train")
        Traceback (most recent call last):
        nctools.errors.DatasetError: missing does not exist
    """
    if split not in {"train", "test"}:
        raise ValueError(f'`split` is {split!r}: give "train" or "test"')
    check_seed(seed)
    found = find_odir(root)
    if len(found.train_tables) != 1:
        raise DatasetError(found.missing[0])
    of_test = split == "test" and bool(found.test_tables)
    table = read_odir_tables(found.test_tables if of_test else found.train_tables)
    folder = _image_folder(found, list(table.files.values()), split if found.test_tables else "train")
    read = Annotations(
        f"ODIR-5K {split}",
        list(ODIR_CLASSES),
        list(table.files),
        folder,
        list(table.files.values()),
        np.array(table.labels, dtype=np.uint8),
        problems=table.problems,
    )
    if found.test_tables:
        return read
    rows = dict(zip(("train", "test"), patient_split(read, seed=seed), strict=True))[split]
    share = f"{1 - TEST_SHARE if split == 'train' else TEST_SHARE:.0%} of the patients, seed {seed}"
    return replace(read.select(rows), name=f"{read.name} ({share})")


def patients(annotations: Annotations) -> list[str]:
    """Return the patient of each eye.

    Args:
        annotations: With ids such as ``"17_left"``.

    Returns:
        Their ids without the side: ``"17"``.

    Example:
        >>> files = ["1_left.jpg", "1_right.jpg"]
        >>> patients(Annotations("", ["Normal"], ["1_left", "1_right"], Path(), files, np.ones((2, 1), dtype=np.uint8)))
        ['1', '1']
    """
    return [name.removesuffix("_left").removesuffix("_right") for name in annotations.ids]


def patient_split(
    annotations: Annotations, test_share: float = TEST_SHARE, *, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split eyes so that both of a patient are on one side.

    Patients are put together by their rarest label; of each such stratum the share goes to the test, rounded, but at
    least one of two. Which of them depends on their ids and the seed alone, not on their order or the platform.

    Args:
        annotations: Eyes.
        test_share: Share of the patients for the test, between 0 and 1.
        seed: Another seed, another split.

    Returns:
        Rows of training and test, both ascending.

    Raises:
        ValueError: If the share is not between 0 and 1.

    Example:
        >>> labels = np.array([[1, 0]] * 8 + [[1, 1]] * 2, dtype=np.uint8)
        >>> ids = [f"{patient}_{side}" for patient in range(5) for side in ("left", "right")]
        >>> train, test = patient_split(Annotations("", ["a", "b"], ids, Path(), ids, labels), 0.4)
        >>> len(train), len(test), len({int(row) // 2 for row in test})
        (6, 4, 2)
    """
    if not 0 < test_share < 1:
        raise ValueError(f"`test_share` is {test_share}: give a share between 0 and 1, such as {TEST_SHARE}")
    of_eye = patients(annotations)
    rows = {patient: row for row, patient in reversed(list(enumerate(of_eye)))}
    strata: dict[int, list[str]] = defaultdict(list)
    labels = annotations.labels[list(rows.values())]
    for patient, label in zip(rows, rarest_class(labels, class_counts(labels)).tolist(), strict=True):
        strata[label].append(patient)
    test: set[str] = set()
    for stratum in strata.values():
        # One patient at least: a label without any in the test has no score.
        due = max(1, int(len(stratum) * test_share + 0.5)) if len(stratum) > 1 else 0
        test.update(sorted(stratum, key=lambda patient: _drawn(patient, seed))[:due])
    in_test = np.array([patient in test for patient in of_eye], dtype=np.bool_)
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def _drawn(patient: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()


def _is_test(path: Path) -> bool:
    return any(word in path.name.lower() for word in _TEST_WORDS)


def _image_folder(found: OdirFolders, files: Sequence[str], split: str) -> Path:
    # The folder named after the split comes first, but what counts is whether images are in it.
    folders = sorted(found.image_folders, key=lambda folder: split not in folder.name.lower())
    above = found.root.parent if found.root.is_file() else found.root
    for folder in [*folders, above]:
        if {path.name for path in files_in(folder, "")} & set(files[:_TRIED]):
            return folder
    return folders[0] if folders else above
