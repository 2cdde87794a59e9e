"""The user's own data: folders, tables, annotations, or whatever a function of the user's returns."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from nctools._factories import import_object
from nctools.collapse.groups import head_medium_tail
from nctools.data.annotations import Problem, refuse_problems
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_files import ImageFiles
from nctools.data.own.folder_walk import is_file
from nctools.data.own.forms import OwnAnnotations, form_of, open_own
from nctools.data.own.image_folder import load_image_folder, usual_split
from nctools.data.own.label_table import load_label_table
from nctools.data.own.split_names import matching_split, training_split
from nctools.errors import ConfigError, DatasetError, NctoolsError


def load_own(
    source: str | os.PathLike[str],
    split: str | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    usual: str | None = None,
) -> MultiLabelDataset:
    """Load images of the user, in one of the forms that need no code.

    - a folder with a folder for each class (``load_image_folder``);
    - a table that ends in .csv, .tsv or .json (``load_label_table``);
    - annotations in the form of COCO: a .json file, or a folder with ``annotations/instances_train.json``, one file
      for each split, beside the images;
    - annotations in the form of VOC: a folder with ``Annotations/*.xml``, or .xml files beside the images, and lists
      of splits in ``ImageSets/Main``;
    - a list of labels that ends in .txt: a path and class indices in each line.

    Args:
        source: Folder or file.
        split: One of its splits, or None if it has none.
        root: For a file, the folder that its paths start from; default: its own.
        transform: Called on the uint8 images, single or as a batch.
        usual: Split to take where none is named and the data are divided into splits.

    Returns:
        The images with their labels; images are read when they are needed.

    Raises:
        DatasetError: If the source does not exist, is of another form, or what it holds does not fit.

    Example:
        >>> load_own("notes.txt")
        Traceback (most recent call last):
        nctools.errors.DatasetError: notes.txt does not exist; own data are a folder ROOT/CLASS/image.jpg ...
    """
    path = Path(source)
    form = form_of(path)
    if form in {"CSV table", "JSON table"}:
        return load_label_table(path, split, root=root, transform=transform, usual=usual)
    if form == "image folder" and root is None:
        return load_image_folder(path, split or usual_split(path, usual), transform=transform)
    own = open_own(path, root=root)
    wanted, split = _rows_of_split(own, split, usual)
    annotations = own.annotations.checked().select(wanted)
    absent = [
        Problem(own.places[row], f"{file} does not exist", "missing_image")
        for row, file in zip(wanted, annotations.paths, strict=True)
        if not is_file(file)
    ]
    refuse_problems(str(path), absent)
    train = own.splits.get(_found_split("train", own) or "") or wanted
    return MultiLabelDataset(
        ImageFiles(annotations.paths),
        torch.from_numpy(annotations.labels),
        annotations.class_names,
        head_medium_tail(own.annotations.select(train).class_counts),
        ids=annotations.ids,
        transform=transform,
        name=path.resolve().name if path.is_dir() else path.stem,
        split=split or "",
        single_label=own.single_label,
        box_reader=annotations.boxes,
    )


def _rows_of_split(own: OwnAnnotations, split: str | None, usual: str | None) -> tuple[list[int], str | None]:
    # The rows to take, and the name of their split.
    name = _found_split(split or usual or "", own)
    if name is not None:
        return own.splits[name], split or name
    if split is None:
        return list(range(len(own.annotations))), None
    there = ", ".join(own.splits)
    hint = f"it has: {there}" if there else "it has no splits: name none"
    raise DatasetError(f"{own.annotations.name} has no split {split!r}; {hint}")


def _found_split(split: str, own: OwnAnnotations) -> str | None:
    return training_split(own.splits) if split == "train" else matching_split(split, own.splits)


def data_from_factory(
    spec: str, arguments: Mapping[str, object], *, split: str | None = None
) -> DataLoader[object] | Dataset[object] | Iterable[object]:
    """Import a function of the user and take the data it returns.

    Args:
        spec: ``"package.module:function"``; a class will do.
        arguments: Keyword arguments of the call.
        split: Passed as ``split`` if the function takes it and ``arguments`` does not say it already.

    Returns:
        What the function returned, as it is: a loader, a data set, or any iterable of ``(inputs, targets)`` batches.

    Raises:
        ConfigError: If the function cannot be imported or called, fails, or returns something else.
        NctoolsError: If the function raised it by a call of nctools; unchanged.

    Example:
        >>> len(data_from_factory("nctools.data:load_dataset", {"name": "digits_lt"}, split="test"))
        1000
    """
    factory = import_object(spec)
    if not callable(factory):
        raise ConfigError(
            f"{spec} cannot be called, its type is {type(factory).__name__}: name a function that returns data"
        )
    keywords = dict(arguments)
    if split is not None and _takes(factory, "split"):
        keywords.setdefault("split", split)
    try:
        made: object = factory(**keywords)
    except NctoolsError:
        raise
    except Exception as error:  # the user's own code ran, and anything can go wrong in it
        shown = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
        raise ConfigError(f"{spec}({shown}) fails with {type(error).__name__}: {error}") from error
    if isinstance(made, DataLoader | Dataset):
        return made
    if isinstance(made, Iterable) and not isinstance(made, str | bytes | Mapping | Tensor):
        _check_batches(spec, made)
        return made
    raise ConfigError(_refusal(spec, f"a {type(made).__name__}"))


def class_names_of(dataset: object) -> list[str] | None:
    """Return the names of the classes of a data set, as far as it tells them.

    Args:
        dataset: Any data set, subset, or loader of one.

    Returns:
        Its ``class_names`` or, as torchvision calls them, ``classes``; None if it has neither.

    Example:
        >>> from nctools.data import load_dataset
        >>> names = class_names_of(Subset(load_dataset("digits_lt"), [5, 1]))
        >>> names is not None and len(names)
        20
    """
    inner = _unwrapped(dataset)
    for attribute in ("class_names", "classes"):
        names = getattr(inner, attribute, None)
        if isinstance(names, Sequence) and not isinstance(names, str):
            # The ImageNet of torchvision has several names for each class.
            return [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    return None


def ids_of(dataset: object) -> list[str] | None:
    """Return the names of the images of a data set, as far as it tells them.

    Args:
        dataset: Any data set or subset.

    Returns:
        Its ``ids``, of a subset those of its own images in their order; None if it has none.

    Example:
        >>> from nctools.data import load_dataset
        >>> ids_of(Subset(load_dataset("digits_lt", "test"), [5, 1]))
        ['test-0005', 'test-0001']
    """
    if isinstance(dataset, Subset):
        inner = ids_of(dataset.dataset)
        return None if inner is None else [inner[index] for index in dataset.indices]
    ids = getattr(dataset, "ids", None)
    return [str(name) for name in ids] if isinstance(ids, Sequence) and not isinstance(ids, str) else None


def _unwrapped(dataset: object) -> object:
    while isinstance(dataset, Subset | DataLoader):
        dataset = dataset.dataset
    return dataset


def _takes(factory: Callable[..., object], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some functions written in C do not tell
        return False
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    if name in parameters:
        return parameters[name].kind in by_name
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def _check_batches(spec: str, made: Iterable[object]) -> None:
    # Only a list can be looked into: a generator would lose its first batch.
    if isinstance(made, Sequence):
        if not made:
            raise ConfigError(_refusal(spec, f"an empty {type(made).__name__}"))
        if not isinstance(made[0], Sequence) or isinstance(made[0], str) or len(made[0]) != 2:
            raise ConfigError(_refusal(spec, f"a {type(made).__name__} that starts with a {type(made[0]).__name__}"))


def _refusal(spec: str, what: str) -> str:
    return (
        f"{spec} returned {what}: return a torch DataLoader, a torch Dataset (torch.utils.data.TensorDataset wraps "
        "tensors), or an iterable of (inputs, targets) batches"
    )
