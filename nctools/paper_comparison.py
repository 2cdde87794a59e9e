"""Which published row a trained run is to be compared with, and what about the run is not as published."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from nctools.data.catalogue import canonical_name
from nctools.data.settings import DataSettings
from nctools.evaluation.paper_check import PublishedRow, known_settings, published_row
from nctools.methods.assembly import default_arguments, default_recipe, method_class
from nctools.methods.checkpoint import Checkpoint
from nctools.trained_runs import TrainedRun

# Where weights and frames start from does not make another method.
_NO_CHANGE: Final = frozenset({"seed", "pretrained"})
# Settings that the table names in words: what they change, all of it together.
_IN_WORDS: Final = {
    "trainable random classifier without concatenation": {
        "train_classifier": "True",
        "classifier": "random",
        "concatenate": "False",
    },
}


def published_row_of(run: TrainedRun, *, dataset: str | None = None) -> tuple[PublishedRow, list[str]]:
    """Find the published mAP of a run's method, data set and setting.

    A setting is what papers vary (``label_embedding=trainable``): changed in the run, it must be printed too.

    Args:
        run: A run or checkpoint of nctools.
        dataset: The data set it is scored on; None is the one it was trained on.

    Returns:
        The row, and what else about the run differs from the method's defaults, as ``key=value``.

    Raises:
        CheckpointError: If the file is no checkpoint of nctools.
        ConfigError: If no paper prints such a row; what is known is listed.
    """
    checkpoint = run.read()
    name = canonical_name(dataset or checkpoint.dataset)
    changed = _changed_arguments(checkpoint, name)
    known = known_settings(checkpoint.method)
    varied = {setting.partition("=")[0] for setting in known if "=" in setting}
    parts = [f"{key}={value}" for key, value in changed.items() if key in varied]
    for words, together in _IN_WORDS.items():
        if words in known and together.items() <= changed.items():
            parts.append(words)
            varied |= together.keys()
    row = published_row(checkpoint.method, name, ";".join(parts))
    others = {key: value for key, value in changed.items() if key not in varied}
    others |= _changed("data", checkpoint.data_settings, DataSettings().to_dict())
    recipe = (run.config() or {}).get("recipe")
    if isinstance(recipe, Mapping):
        others |= _changed("recipe", recipe, asdict(default_recipe(checkpoint.method, name)))
    return row, [f"{key}={value}" for key, value in others.items()]


def _changed_arguments(checkpoint: Checkpoint, dataset: str) -> dict[str, str]:
    parameters = inspect.signature(method_class(checkpoint.method)).parameters
    usual = {name: parameter.default for name, parameter in parameters.items()}
    usual |= default_arguments(checkpoint.method, dataset)
    given = {name: value for name, value in checkpoint.arguments.items() if name not in _NO_CHANGE}
    return {name: _text(value) for name, value in given.items() if name in usual and value != usual[name]}


def _changed(section: str, given: Mapping[str, object], usual: Mapping[str, object]) -> dict[str, str]:
    return {
        f"{section}.{name}": _text(value) for name, value in given.items() if name in usual and value != usual[name]
    }


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
