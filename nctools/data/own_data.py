"""The user's own data: a folder, a table, or whatever a function of the user's returns."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from nctools._factories import import_object, is_factory
from nctools.data.dataset import MultiLabelDataset
from nctools.data.image_folder import load_image_folder, usual_split
from nctools.data.label_table import load_label_table
from nctools.errors import ConfigError, DatasetError, NctoolsError

TABLE_SUFFIXES = (".csv", ".tsv", ".json")
_FORMS = (
    "a folder ROOT/CLASS/image.jpg (or ROOT/SPLIT/CLASS/...), a table of labels (.csv, .tsv), "
    "a .json file of labels, or package.module:factory for a function of yours"
)


def load_own(
    source: str | os.PathLike[str],
    split: str | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    transform: Callable[[Tensor], Tensor] | None = None,
    usual: str | None = None,
) -> MultiLabelDataset:
    """Load images of the user, in one of the forms that need no code.

    Args:
        source: A folder (``load_image_folder``), or a table that ends in .csv, .tsv or .json (``load_label_table``).
        split: One of its splits, or None if it has none.
        root: For a table, the folder that its paths start from; default: its own.
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
    if path.is_dir():
        if root is not None:
            raise DatasetError(
                f"{path} is a folder of images, so root={os.fspath(root)!r} has no meaning: leave it out"
            )
        return load_image_folder(path, split or usual_split(path, usual), transform=transform)
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        return load_label_table(path, split, root=root, transform=transform, usual=usual)
    if path.is_file():
        what = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
    elif is_factory(str(source)):
        what = "names a function: call data_from_factory"
    else:
        what = "does not exist"
    raise DatasetError(f"{source} {what}; own data are {_FORMS}")


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
