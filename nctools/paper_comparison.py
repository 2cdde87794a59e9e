"""Which published row a trained run is to be compared with, and what about the run is not as published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, Unpack

from nctools.data.catalogue import canonical_name
from nctools.data.loading import usual_preprocessing
from nctools.data.preprocessing import Preprocessing, preprocessing_changed
from nctools.data.settings import DataSettings
from nctools.evaluation.paper_check import PublishedRow, known_settings, published_row
from nctools.evaluation.protocols import Protocol
from nctools.forward_options import ForwardOptions
from nctools.methods.assembly import default_arguments, default_recipe, method_class, usual_arguments
from nctools.methods.checkpoint import Checkpoint
from nctools.trained_runs import TrainedRun

# Settings that the table names in words: what they are, all of it together.
_IN_WORDS: Final = {
    "trainable random classifier without concatenation": {
        "train_classifier": "True",
        "classifier": "random",
        "concatenate": "False",
    },
}
# What changes which images batch norm and the losses see together.
_TRAINER: Final = {"accumulate_grad_batches": 1}
# Flags of the scoring, and what they change about the images.
_AT_TEST: Final = {"image_size": ("resize", "crop"), "mean": ("mean",), "std": ("std",)}


def published_row_of(
    run: TrainedRun, *, protocol: Protocol = "tie-aware", **options: Unpack[ForwardOptions]
) -> tuple[PublishedRow, list[str]]:
    """Find the published mAP of a run's method, data set and setting.

    A setting is what papers vary (``label_embedding=trainable``): changed in the run, it must be printed too.

    Args:
        run: A run or checkpoint of nctools.
        protocol: How average precision is counted.
        **options: How it is scored, as for ``evaluate_runs``; ``dataset`` is by default the one it was trained on.

    Returns:
        The row, and what else differs from the recipe, as ``key=value``: first of the run (arguments, data,
        preprocessing, recipe, trainer), then of the scoring (``--image-size=448``).

    Raises:
        CheckpointError: If the file is no checkpoint of nctools.
        ConfigError: If no paper prints such a row; what is known is listed.
    """
    checkpoint = run.read()
    name = canonical_name(options.get("dataset") or checkpoint.dataset)
    chosen, usual = _arguments(checkpoint, name)
    # None is what follows from the other arguments.
    changed = {key: _text(value) for key, value in chosen.items() if value not in (None, usual[key])}
    known = known_settings(checkpoint.method)
    varied = {setting.partition("=")[0] for setting in known if "=" in setting}
    parts = [f"{key}={value}" for key, value in changed.items() if key in varied]
    texts = {key: _text(value) for key, value in chosen.items()}
    for words, together in _IN_WORDS.items():
        if words in known and together.items() <= texts.items():
            parts.append(words)
            varied |= together.keys()
    row = published_row(checkpoint.method, name, ";".join(parts))
    others = {key: value for key, value in changed.items() if key not in varied}
    others |= _of_training(run, checkpoint, name) | _of_scoring(checkpoint, name, protocol, options)
    return row, [f"{key}={value}" for key, value in others.items()]


def _arguments(checkpoint: Checkpoint, dataset: str) -> tuple[dict[str, object], dict[str, object]]:
    # Those that the run computed with, and those of the recipe for the same variant: what follows from it is no news.
    in_full = method_class(checkpoint.method).in_full
    signature = usual_arguments(checkpoint.method)
    chosen = {**signature, **{name: value for name, value in checkpoint.arguments.items() if name in signature}}
    usual = {**signature, **default_arguments(checkpoint.method, dataset)}
    told = {"variant": usual["variant"]} if "variant" in usual else {}
    recipe = {**in_full({**usual, **{name: chosen[name] for name in told}}), **told}
    # The same weights to start from may lie in a file.
    started = "pretrained"
    run, published = ({**side, started: bool(side.get(started))} for side in (in_full(chosen), recipe))
    return run, published


def _of_training(run: TrainedRun, checkpoint: Checkpoint, dataset: str) -> dict[str, str]:
    config = run.config() or {}
    trainer = config.get("trainer")
    processes = 1
    if isinstance(trainer, Mapping):
        processes = int(trainer.get("devices", 1)) * int(trainer.get("num_nodes", 1))
    sections: tuple[tuple[str, object, Mapping[str, object]], ...] = (
        ("data", checkpoint.data_settings, DataSettings().to_dict()),
        ("preprocessing", checkpoint.preprocessing, _usual_images(dataset)),
        ("recipe", config.get("recipe"), asdict(default_recipe(checkpoint.method, dataset))),
        ("trainer", trainer, _TRAINER | ({"sync_batchnorm": True} if processes > 1 else {})),
    )
    found: dict[str, str] = {}
    for section, given, usual in sections:
        if isinstance(given, Mapping):
            found |= {
                f"{section}.{name}": _text(value)
                for name, value in given.items()
                if name in usual and value != usual[name]
            }
    return found


def _of_scoring(
    checkpoint: Checkpoint, dataset: str, protocol: Protocol, options: Mapping[str, object]
) -> dict[str, str]:
    given = {name: options[name] for name in _AT_TEST if options.get(name) is not None}
    made = preprocessing_changed(Preprocessing.from_dict(checkpoint.preprocessing), **given).to_dict()  # type: ignore[arg-type]
    usual = _usual_images(dataset)
    found = {
        f"--{name.replace('_', '-')}": _text(value)
        for name, value in given.items()
        if any(made[key] != usual[key] for key in _AT_TEST[name])
    }
    settings, plain = options.get("data_settings"), DataSettings().to_dict()
    if isinstance(settings, Mapping):
        found |= {f"--data-settings {key}": _text(value) for key, value in settings.items() if value != plain.get(key)}
    # Not "rank": released code of several papers counts so.
    return found | ({"--ap": protocol} if protocol == "voc11" else {})


def _usual_images(dataset: str) -> dict[str, object]:
    return {"resize_mode": "shorter", **usual_preprocessing(dataset).to_dict()}


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
