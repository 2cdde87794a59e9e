"""A model and the data it is to be run over: opened, checked against each other, ready for one pass."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler, Subset

from nctools._factories import is_factory
from nctools.data.catalogue import DATASETS, canonical_name
from nctools.data.dataset import MultiLabelDataset
from nctools.data.group_rules import groups_and_notes
from nctools.data.label_matrix import some_names
from nctools.data.loading import load_dataset, open_dataset, usual_preprocessing
from nctools.data.own.loading import class_names_of, data_from_factory, ids_of, load_own
from nctools.data.preprocessing import Preprocessing, preprocessing_changed, preprocessing_named
from nctools.data.settings import DataSettings
from nctools.data.sources import ROOT_VARIABLE
from nctools.data.split_file import is_split_file
from nctools.data.transforms import test_transform
from nctools.errors import CheckpointError, ConfigError, DatasetError, UnknownNameError
from nctools.forward_options import ForwardOptions
from nctools.networks.network import Network, open_network
from nctools.run_directory import label_cache_beside


@dataclass(frozen=True)
class Data:
    """What a model is run over.

    Args:
        loader: Batches ``(inputs, targets)``, each image once.
        name: Name of the data set.
        class_names: ``C`` names, or None if nobody knows them.
        ids: An id per image, or None.
        groups: Named lists of class indices, or None.
        single_label: Each image has exactly one label.
        about: One line for the user.
        split: Name of the split, if the data tell.
        images: The images that ``loader`` goes through, where they are a data set of ours.
        train_counts: Training images of each class, or None if the data do not tell.
    """

    loader: Iterable[Sequence[Tensor]]
    name: str
    class_names: list[str] | None
    ids: list[str] | None
    groups: dict[str, list[int]] | None
    single_label: bool
    about: str
    split: str = ""
    images: MultiLabelDataset | None = None
    train_counts: list[int] | None = None


@dataclass(frozen=True)
class Prepared:
    """A model on its device, and its data.

    Args:
        network: The opened model.
        data: What it is run over.
        device: Where.
        split: Name of the split.
        regrouped: Whether the user chose a rule for the groups.
    """

    network: Network
    data: Data
    device: torch.device
    split: str
    regrouped: bool = False

    @property
    def groups(self) -> dict[str, list[int]] | None:
        """Groups that were asked for, else those of the checkpoint (of its training counts), else of the data."""
        return (self.data.groups if self.regrouped else None) or self.network.groups or self.data.groups

    @property
    def class_names(self) -> list[str] | None:
        """Class names of the data, else those of the checkpoint."""
        return self.data.class_names or self.network.class_names

    @property
    def class_counts(self) -> list[int] | None:
        """Training images of each class: those of the checkpoint, else of the data; None if nobody knows them."""
        return self.network.class_counts or self.data.train_counts


def prepare(
    path: str | Path | None,
    options: ForwardOptions,
    *,
    split: str | None,
    default_split: str = "train",
    mark_unknown: bool = False,
) -> Prepared:
    """Open a model and its data.

    Args:
        path: A file of weights; None needs ``options["model"]``.
        options: See ``ForwardOptions``.
        split: What the user asked for, if anything. The user's own data need not have splits.
        default_split: Of a data set with a name, where none was asked for.
        mark_unknown: Targets are -1 where labels are not known, instead of 0.

    Returns:
        Both, checked against each other.

    Raises:
        CheckpointError: If the file is missing, unreadable or made for other classes.
        DatasetError: If the data are missing or unreadable.
        ConfigError: If the options contradict each other or a factory fails.
        UnknownNameError: If a name does not exist; near misses are listed.
    """
    if path is None and not options.get("model"):
        raise ConfigError("there is no model: name a file of weights, or an architecture (--model timm:resnet50)")
    device = _device(options.get("device", "auto"))
    network = open_network(
        path, model=options.get("model"), arguments=options.get("model_args"), weights=options.get("weights", "raw")
    )
    if options.get("data") is None:
        images, about = _named(network, options, split or default_split, path)
        network.notes.extend(images.notes)
        data = _own(images.with_unknown_marked() if mark_unknown else images, options, about=about)
        used = split or default_split
    else:
        data = _given(network, options, split, default_split, mark_unknown=mark_unknown)
        used = split or data.split
    _check_classes(network, data, path)
    network.module.to(device)
    return Prepared(network, data, device, used, bool((options.get("data_settings") or {}).get("groups")))


def _given(
    network: Network, options: ForwardOptions, split: str | None, default_split: str, *, mark_unknown: bool
) -> Data:
    given = options.get("data")
    if options.get("dataset"):
        raise ConfigError(f"both --dataset {options['dataset']} and --data were given: one of them")
    made_by_code = not isinstance(given, str | Path) or (isinstance(given, str) and is_factory(given))
    settings = options.get("data_settings")
    if made_by_code and settings:
        raise ConfigError(
            f"data settings ({', '.join(settings)}) are for data sets with a name, split files, and files of your own: "
            "what code returns is taken as it is"
        )
    if not isinstance(given, str | Path):
        return _loaded(given, options, "the given loader")
    if isinstance(given, str) and is_factory(given):
        return _loaded(data_from_factory(given, options.get("data_args") or {}, split=split), options, given)
    if (
        not set(settings or ()) - {"groups"}
        and _is_same(given, network.dataset)
        and DataSettings.from_dict(network.data_settings) != DataSettings()
    ):
        network.notes.append(
            f"{given} is what the model was trained on, but here it is taken whole, without the checkpoint's data "
            "settings: leave --data out to have them"
        )
    preprocessing = _preprocessing(network.preprocessing or preprocessing_named("imagenet"), options)
    images = _own_images(Path(given), options, split, default_split).with_transform(test_transform(preprocessing))
    if mark_unknown:
        images = images.with_unknown_marked()
    network.notes.extend(images.notes)
    return _own(images, options, about=_about(images, preprocessing))


def _own_images(path: Path, options: ForwardOptions, split: str | None, default_split: str) -> MultiLabelDataset:
    root, settings = options.get("data_root"), options.get("data_settings")
    rule = str(settings["groups"]) if settings and set(settings) == {"groups"} else None
    if not settings or (rule is not None and Path(rule).is_file()):
        images = load_own(path, split, root=root, usual=default_split)
        if rule is None:
            return images
        # A file of groups asks nothing of the training images: the data are taken whole, as without it.
        groups, notes = groups_and_notes(rule, images.class_counts, images.class_names)
        return images.with_groups(groups, notes=notes)
    opened = open_dataset(str(path.absolute()), root=root, settings=DataSettings.from_dict(settings))
    return opened.load(split or (default_split if default_split in opened.splits else "train"))


def _named(
    network: Network, options: ForwardOptions, split: str, path: str | Path | None
) -> tuple[MultiLabelDataset, str]:
    # Images of a data set with a name, of a split file, or of what a checkpoint of ours was trained on.
    name = options.get("dataset") or network.dataset
    if not name:
        raise DatasetError(
            f"{path or options.get('model')} does not tell what data it belongs to: give --dataset NAME "
            f"({', '.join(DATASETS)}), or your own: --data FOLDER, TABLE.csv or package.module:factory"
        )
    if options.get("dataset") and canonical_name(name) not in DATASETS and _is_own(name):
        raise DatasetError(f"{name!r} is a path, not the name of a data set: give your own data as --data {name}")
    if not options.get("dataset") and os.sep in name and not Path(name).exists():
        raise DatasetError(
            f"{path} was trained on {name}, which is not there any more: say where that lies now with --data PATH, or "
            "--dataset PATH for a split file"
        )
    # A checkpoint of ours brings the preprocessing it was trained with; other weights get the data set's own.
    own = network.preprocessing if network.dataset else None
    usual = own or usual_preprocessing(name)
    preprocessing = _preprocessing(usual, options)
    other = network.preprocessing
    if other is not None and _at_test(other) != _at_test(usual) and preprocessing == usual:
        network.notes.append(
            f"images are prepared as {name} says, although the model's own configuration says {_sizes(other)}: "
            "--image-size, --mean and --std choose"
        )
    # What a checkpoint says of its data holds for these data only. It brings the groups themselves, not their rule.
    same = _is_same(name, network.dataset)
    known = {key: value for key, value in network.data_settings.items() if key != "groups" or not network.groups}
    settings = {**(known if same else {}), **(options.get("data_settings") or {})}
    images = load_dataset(
        name,
        split,
        root=options.get("data_root") or (_stored_root(network) if same else None),
        transform=test_transform(preprocessing),
        settings=DataSettings.from_dict(settings),
        cache=label_cache_beside(_run_of(path)),
    )
    if same and not set(options.get("data_settings") or ()) - {"groups"}:
        network.notes.extend(_other_training_images(network, images))
    return images, _about(images, preprocessing)


def _other_training_images(network: Network, images: MultiLabelDataset) -> list[str]:
    # A smaller copy of the data set, or one with other labels, has its name and its classes too.
    ours, here = network.class_counts, images.train_counts
    if ours is None or here is None or images.class_names != network.class_names or ours == here:
        return []
    row = next(row for row, counts in enumerate(zip(ours, here, strict=True)) if counts[0] != counts[1])
    return [
        f"the training images of {images.name} have {sum(here)} labels here ({images.class_names[row]} {here[row]}), "
        f"those that the model was trained on {sum(ours)} ({images.class_names[row]} {ours[row]}): these are other "
        "images, or other labels"
    ]


def _stored_root(network: Network) -> str | None:
    # Where the training images lay; on another machine, or after a move, where the environment says.
    stored, elsewhere = network.data_root, os.environ.get(ROOT_VARIABLE)
    if not stored or Path(stored).is_dir() or not elsewhere:
        return stored
    network.notes.append(
        f"{stored}, where the model was trained, does not exist: {ROOT_VARIABLE} is taken, {elsewhere}"
    )
    return elsewhere


def _is_same(name: str | Path, trained: str | None) -> bool:
    # Whether these are the data that a checkpoint was trained on, by their name or by their path.
    if trained is None:
        return False
    if canonical_name(str(name)) in DATASETS or canonical_name(trained) in DATASETS:
        return canonical_name(str(name)) == canonical_name(trained)
    return Path(name).resolve() == Path(trained).resolve()


def _is_own(name: str) -> bool:
    return Path(name).is_dir() or (Path(name).is_file() and not is_split_file(name))


def _run_of(path: str | Path | None) -> Path | None:
    # RUN/checkpoints/last.pt belongs to RUN.
    folder = None if path is None else Path(path).absolute().parent
    return folder.parent if folder is not None and folder.name == "checkpoints" else None


def _own(images: MultiLabelDataset, options: ForwardOptions, *, about: str) -> Data:
    return Data(
        loader=_loader(images, options),
        name=images.name,
        class_names=images.class_names,
        ids=images.ids,
        groups=images.groups,
        single_label=images.single_label,
        about=about,
        split=images.split,
        images=images,
        train_counts=images.train_counts,
    )


def _loaded(data: object, options: ForwardOptions, name: str) -> Data:
    # A loader, data set or list of batches that the user's own code made.
    if isinstance(data, MultiLabelDataset):
        return replace(_own(data, options, about=f"{data!r} as it comes"), name=data.name or name)
    loader = data if isinstance(data, DataLoader) or not isinstance(data, Dataset) else _loader(data, options)
    inside = loader.dataset if isinstance(loader, DataLoader) else None
    whole = _innermost(inside)
    known = whole if isinstance(whole, MultiLabelDataset) else None
    return Data(
        loader=cast("Iterable[Sequence[Tensor]]", loader),
        name=name,
        class_names=None if inside is None else class_names_of(inside),
        ids=ids_of(inside) if isinstance(loader, DataLoader) and _in_order(loader) else None,
        groups=None if known is None else known.groups,
        single_label=known is not None and known.single_label,
        train_counts=None if known is None else known.train_counts,
        about=f"data from {name}, prepared by it",
    )


def _innermost(dataset: object) -> object:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def _in_order(loader: DataLoader[object]) -> bool:
    # Only then the ids of the data set are those of the batches.
    batches = loader.batch_sampler
    return (
        type(batches) is BatchSampler
        and batches.sampler is loader.sampler
        and isinstance(loader.sampler, SequentialSampler)
    )


def _loader(images: Dataset[tuple[Tensor, Tensor]], options: ForwardOptions) -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(images, batch_size=options.get("batch_size", 256), num_workers=options.get("workers", 0))


def _preprocessing(usual: Preprocessing, options: ForwardOptions) -> Preprocessing:
    size, mean, std = options.get("image_size"), options.get("mean"), options.get("std")
    return preprocessing_changed(usual, image_size=size, mean=mean, std=std)


def _at_test(preprocessing: Preprocessing) -> Preprocessing:
    return replace(preprocessing, augmentation="none")


def _sizes(preprocessing: Preprocessing) -> str:
    side = "" if preprocessing.resize_mode == "shorter" else " square"
    size = "" if preprocessing.resize is None else f"resized to {preprocessing.resize} px{side}, "
    size += "" if preprocessing.crop is None else f"cropped to {preprocessing.crop} px, "
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (preprocessing.mean, preprocessing.std))
    return f"{size}mean {mean}, std {std}"


def _about(images: MultiLabelDataset, preprocessing: Preprocessing) -> str:
    name = f"{images.name} {images.split}".strip()
    return f"data: {name}, {len(images)} images, {images.num_classes} classes, {_sizes(preprocessing)}"


def _check_classes(network: Network, data: Data, path: str | Path | None) -> None:
    ours, theirs = network.class_names, data.class_names
    if ours is None or theirs is None or list(ours) == list(theirs):
        return
    raise CheckpointError(
        f"{path} was trained on {network.dataset!r} with {len(ours)} classes ({some_names(ours)}), but "
        f"data set {data.name!r} has {len(theirs)} ({some_names(theirs)}): give the data it was trained on"
    )


def _device(name: str) -> torch.device:
    if name not in {"auto", "cpu", "cuda"}:
        raise UnknownNameError("device", name, ["auto", "cpu", "cuda"])
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but torch sees no CUDA device: use 'auto' or 'cpu'")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    # Under torchrun each process has a device of its own.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
