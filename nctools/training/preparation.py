"""From a configuration to what a process needs to train, all of it looked at before anything is written."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nctools.data.dataset import MultiLabelDataset
from nctools.data.loading import open_dataset, usual_preprocessing
from nctools.data.preprocessing import Preprocessing
from nctools.data.settings import DataSettings
from nctools.data.transforms import test_transform, train_transform
from nctools.errors import ConfigError
from nctools.features.inference import home_of, ready_model
from nctools.features.progress import progress_of_passes
from nctools.methods.assembly import argument_names, build_as_told, method_class
from nctools.methods.catalogue import METHODS
from nctools.methods.checkpoint import load_checkpoint
from nctools.methods.label_choice import TEXT, kept_vectors
from nctools.methods.method import Argument, Method
from nctools.methods.recipe import Recipe
from nctools.models.output import Output
from nctools.run_directory import RunDirectory, label_cache_beside
from nctools.training.config import TrainConfig
from nctools.training.data_module import RunDataModule
from nctools.training.loggers import check_loggers
from nctools.training.placement import Place
from nctools.training.processes import as_started, check_compiler, notes_of, on_gpu
from nctools.training.reproducibility import seeded
from nctools.training.run_target import check_target, prepare_to_resume, state_to_resume
from nctools.training.shared_batch_norm import share_batch_norm
from nctools.training.stages import Stage, added_labels, given_targets, taken_over


@dataclass(frozen=True)
class Prepared:
    """What a process needs to train.

    Args:
        images: Training images, as they are measured.
        validated: Whether there are images to validate on.
        feed: Gives both as batches.
        method: The method, with fresh weights.
        arguments: What it was built with.
        preprocessing: How images become inputs.
        state: What an interrupted training goes on from; None: it begins.
    """

    images: MultiLabelDataset
    validated: bool
    feed: RunDataModule
    method: Method
    arguments: dict[str, Argument]
    preprocessing: Preprocessing
    state: Path | None


def prepared(stage: Stage, place: Place, *, force: bool, resume: bool, told: bool) -> Prepared:
    """Look at everything that can be wrong with a training; nothing is written but a cache of labels.

    Args:
        stage: What to train, and where.
        place: The place of this process.
        force: Whether a run that is there may be replaced.
        resume: Whether to go on with it.
        told: Whether progress is shown.

    Returns:
        What a process needs to train.

    Raises:
        ConfigError: If a method of the user's own gives something else than an ``Output`` with logits ``[B, C]``, or
            the first stage is gone of a run that is in its second.
    """
    config, run = stage.config, stage.run
    # Only the first process looks at the run's directory: the others find it as that one made it.
    state = _state(stage, force=force, resume=resume) if place.rank == 0 else None
    gpu = on_gpu(config, place)
    preprocessing = config.preprocessing.changed(usual_preprocessing(config.dataset))
    with progress_of_passes(enabled=told, doing="reading labels", what="") as tell:
        images, validation = _data(config, stage.home, preprocessing, tell)
    arguments = _arguments(config)
    derived = method_class(config.method).derived_arguments(arguments, images.targets)
    arguments |= derived
    resumed = state is not None or (resume and place.rank > 0 and run.state.exists())
    with seeded(config.seed), _warnings_as_notes(images.class_names) as warned:
        method = _built(config, arguments, images, run.checkpoints / "last.pt" if resumed else None)
    if config.method not in METHODS:
        with seeded(config.seed):
            _check_output(method, images, config.method)
    device = torch.device("cuda", place.local_rank) if gpu else torch.device("cpu")
    shown = taken_over(method, stage, images, device, told=told)
    training = images.with_transform(train_transform(preprocessing)).with_unknown_marked()
    feed = RunDataModule(
        training if shown is None else training.with_targets_shown(shown),
        validation,
        config.recipe,
        seed=config.seed,
        workers=config.workers,
        parts=config.trainer.accumulate_grad_batches,
    )
    with _warnings_as_notes(images.class_names) as warned_of_feed:
        feed.check(place.size)
    check_loggers(config.loggers)
    if config.trainer.compile:
        check_compiler(gpu=gpu)
    if place.size > 1 and config.trainer.sync_batchnorm:
        share_batch_norm(method, on_gpu=gpu)
    if place.rank == 0:
        begun = [] if state is None else prepare_to_resume(run, as_started(stage.written, place))
        for note in [
            *images.notes,
            *notes_of(config, place, gpu=gpu),
            *_warm_up_notes(config, method),
            *_derived_notes(derived),
            *warned,
            *warned_of_feed,
            *method.notes(Recipe(**config.recipe.model_dump()), given_targets(images)),
            *([] if shown is None else [added_labels(shown, images.targets, images.groups)]),
            *begun,
        ]:
            sys.stderr.write(f"note: {note}\n")
    return Prepared(images, validation is not None, feed, method, arguments, preprocessing, state)


def _state(stage: Stage, *, force: bool, resume: bool) -> Path | None:
    # What the stage goes on from, after a look at the run that it is a part of.
    states = []
    for config, run in stage.places:
        states.append(state_to_resume(run, config) if resume else None)
        if states[-1] is None:
            check_target(run, force=force or resume)
    if stage.whole is not None and states[0] is not None:
        raise ConfigError(
            f"{stage.home.path} is in its second stage, but the first, {stage.run.path}, is not finished or not there: "
            "nothing was touched; put it back, or begin again by --force, without --resume"
        )
    return states[-1]


def _built(
    config: TrainConfig, arguments: Mapping[str, Argument], images: MultiLabelDataset, last: Path | None
) -> Method:
    told: dict[str, object] = {
        "num_classes": images.num_classes,
        "class_counts": images.class_counts,
        "num_images": len(images),
        "cooccurrence": images.targets.T @ images.targets,
        "class_names": images.class_names,
    }
    if last is None:
        return build_as_told(config.method, told, arguments)
    # Weights that are read in a moment need no pretrained ones before, nor the file of their label vectors.
    if str(arguments.get("label_embedding")).startswith(TEXT) and last.exists():
        told["label_vectors"] = kept_vectors(load_checkpoint(last).state_dict)
    return build_as_told(config.method, told, {key: value for key, value in arguments.items() if key != "pretrained"})


@contextmanager
def _warnings_as_notes(class_names: Sequence[str]) -> Iterator[list[str]]:
    # What is said of the user's data needs no line of code beside it; whatever libraries warn of passes through.
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    for warning in caught:
        if warning.category is not UserWarning:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif (note := _with_names(str(warning.message), class_names)) not in notes:
            notes.append(note)


def _with_names(text: str, class_names: Sequence[str]) -> str:
    # Losses know classes by number only.
    def named(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"{found[0]}, {class_names[number]}" if number < len(class_names) else found[0]

    return re.sub(r"\bclass (\d+)\b", named, text)


def _check_output(method: Method, images: MultiLabelDataset, name: str) -> None:
    # The user's own code has not been run before; two images tell in a moment what the first batch would.
    batch = torch.stack([images[0][0]] * 2)
    place = home_of(method)
    with ready_model(method, place), torch.no_grad():
        output: object = method(batch.to(place))
    logits: object = output.logits if isinstance(output, Output) else None
    wanted = [len(batch), images.num_classes]
    if isinstance(logits, Tensor) and list(logits.shape) == wanted:
        return
    found = f"a {type(output).__name__}"
    if isinstance(output, Output):
        found = f"logits of shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"{logits!r} as logits"
    raise ConfigError(
        f"{name} cannot be trained: for a batch of {len(batch)} images of {images.num_classes} classes its forward "
        f"gives {found}; return nctools.models.Output with logits {wanted}"
    )


def _warm_up_notes(config: TrainConfig, method: Method) -> list[str]:
    warm_up = int(getattr(method, "warmup_epochs", 0))
    if warm_up < config.recipe.epochs:
        return []
    return [
        f"warmup_epochs is {warm_up}: {config.method} is in its warm-up in all of the {config.recipe.epochs} epochs, "
        "and its whole loss is never trained"
    ]


def _derived_notes(derived: Mapping[str, Argument]) -> list[str]:
    return [f"{name} is {value}, chosen by the training labels" for name, value in derived.items()]


def _data(
    config: TrainConfig, run: RunDirectory, preprocessing: Preprocessing, tell: Callable[[int, int], None]
) -> tuple[MultiLabelDataset, MultiLabelDataset | None]:
    # Training images as they are measured, and those to validate on, where there are any.
    settings = DataSettings(**config.data.model_dump())
    cache, plain = label_cache_beside(run.path), test_transform(preprocessing)
    opened = open_dataset(config.dataset, root=config.data_root, settings=settings, cache=cache, progress=tell)
    images = opened.load("train", transform=plain)
    if "validation" not in opened.splits:
        return images, None
    return images, opened.load("validation", transform=plain).with_unknown_marked()


def _arguments(config: TrainConfig) -> dict[str, Argument]:
    arguments = dict(config.arguments)
    if "seed" in argument_names(config.method):
        arguments.setdefault("seed", config.seed)
    return arguments
