"""Labels in a table: a CSV or JSON file that says which classes each image holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from nctools.collapse.groups import head_medium_tail
from nctools.data.annotations import Problem, refuse_problems
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_files import ImageFiles
from nctools.data.label_matrix import class_counts, unknown_notes
from nctools.data.own.folder_walk import is_file
from nctools.data.own.label_rows import LabelRows
from nctools.data.own.label_rows_csv import read_csv
from nctools.data.own.label_rows_json import read_json
from nctools.data.own.split_names import doubt_about, matching_split
from nctools.data.text_files import read_text
from nctools.errors import DatasetError


def load_label_table(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    usual: str | None = None,
) -> MultiLabelDataset:
    r"""Load images with the labels that a table gives them.

    CSV, separated by comma, semicolon or tab, with a header:

    - ``image,cat,dog``: a column of 0 and 1 for each class (multi-label), -1 where nobody knows;
    - ``image,label``: the name or the index of the one class of each image (single-label). Named classes are sorted.

    The first column may also be called file, filename, path or id. A column ``split`` may name the split of each row.

    JSON:

    - ``{"classes": ["cat", "dog"], "images": [{"file": "a.jpg", "labels": ["cat", 1]}]}``: labels are names or
      indices; each image may have a ``"split"``;
    - ``{"a.jpg": [0, 1], "b.jpg": [1, -1]}``: a 0 or 1 for each class, or -1;
    - ``{"a.jpg": ["cat"], "b.jpg": ["cat", "dog"]}``: names.

    In the last two, ``"classes"`` may stand among the images and names the classes in their order.

    Args:
        path: The table: .csv, .tsv, .txt (separated values) or .json.
        split: Name in the column or key ``split``; None: all images. ``"validation"``, ``"val"`` and ``"valid"`` find
            each other.
        root: Folder that the paths of the images start from; default: that of the table.
        transform: Called on the uint8 images, single or as a batch.
        usual: Split to take, if the table has it, where ``split`` is None; None: all images.

    Returns:
        The images of the split, read when they are needed; ids are their paths in the table. Every split has all
        classes of the table. Groups come from the counts of the split ``train``; without it, of the images returned.
        Where the table has -1, ``targets`` is 0 and ``unknown`` is 1.

    Raises:
        DatasetError: If the table cannot be read, or with the first ten of its problems and the number of the others:
            unknown classes, images listed twice or missing, rows too short, values that are neither 0 nor 1 nor -1.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (8, 8)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "labels.csv").write_text("image,cat,dog\na.png,1,1\n")
        ...     data = load_label_table(Path(folder, "labels.csv"))
        >>> data.ids, data.class_names, data.targets
        (['a.png'], ['cat', 'dog'], tensor([[1., 1.]]))
    """
    path = Path(path)
    rows = read_label_rows(path)
    if split is None and usual is not None:
        split = matching_split(usual, sorted(set(filter(None, rows.splits))))
    wanted = _rows_of_split(rows, split, path)
    folder = path.parent if root is None else Path(root)
    if not folder.is_dir():
        raise DatasetError(f"{folder}, the root of the images of {path}, is no folder: give the one that holds them")
    paths = [folder / rows.files[row] for row in wanted]
    missing = [
        Problem(rows.places[row], f"{rows.files[row]!r} is not in {folder}", "missing_image")
        for row, file in zip(wanted, paths, strict=True)
        if not is_file(file)
    ]
    refuse_problems(str(path), [*rows.problems, *missing])
    targets, unknown = rows.targets(), rows.unknown_targets()
    unknown = None if unknown is None else unknown[wanted]
    train = rows.rows_of("train") or wanted
    return MultiLabelDataset(
        ImageFiles(paths),
        torch.from_numpy(targets[wanted]),
        rows.class_names,
        head_medium_tail(class_counts(targets[train])),
        ids=[rows.files[row] for row in wanted],
        transform=transform,
        name=path.stem,
        split=split or "",
        single_label=rows.single_label,
        unknown=None if unknown is None else torch.from_numpy(unknown),
        notes=[*(f"{path}, {doubt}" for doubt in rows.doubts), *unknown_notes(path.name, unknown)],
    )


def read_label_rows(path: Path) -> LabelRows:
    """Read what a table says, with all that is wrong in it.

    Args:
        path: The table: .json, or separated values in a file of any other name.

    Returns:
        Its images, each once; whether their files exist has not been looked at.

    Raises:
        DatasetError: If the table cannot be read or is of another form.
    """
    text = read_text(path)
    rows = read_json(text, path) if path.suffix.lower() == ".json" else read_csv(text, path)
    rows = rows.without_repeats()
    rows.doubts += _doubts_about_splits(rows)
    return rows


def _doubts_about_splits(rows: LabelRows) -> Iterator[Problem]:
    first = {name: row for row, name in reversed(list(enumerate(rows.splits)))}
    for name, row in sorted(first.items(), key=lambda item: item[1]):
        what = doubt_about(name) if name else "no split is named: the image is in none" if len(first) > 1 else None
        if what is not None:
            count = rows.splits.count(name)
            yield Problem(rows.places[row], what + (f" ({count} images)" if count > 1 else ""), "unknown_split")


def _rows_of_split(rows: LabelRows, split: str | None, path: Path) -> list[int]:
    if split is None:
        return list(range(len(rows.files)))
    present = sorted(set(filter(None, rows.splits)))
    if not present:
        raise DatasetError(f"{path} says of no image which split it belongs to: add a `split`, or name no split")
    name = matching_split(split, present)
    if name is None:
        raise DatasetError(f"{path} has no image of the split {split!r}; it has: {', '.join(present)}")
    return rows.rows_of(name)
