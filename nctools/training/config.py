"""The schema of ``config.yaml``: everything needed to repeat a run; unknown keys are refused with near misses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from nctools.data.catalogue import canonical_name
from nctools.errors import ConfigError, UnknownNameError
from nctools.methods.assembly import (
    argument_names,
    argument_types,
    check_arguments,
    default_arguments,
    default_recipe,
    method_class,
    method_name,
    usual_arguments,
)
from nctools.methods.method import Argument
from nctools.run_directory import SETTINGS_OF_PLACE
from nctools.training.config_faults import argument_faults, described_faults, preprocessing_faults
from nctools.training.config_sections import (
    CollapseConfig,
    DataConfig,
    PreprocessingConfig,
    RecipeConfig,
    Section,
    TrainerConfig,
)
from nctools.training.settings import put_settings, whole_path

LoggerName = Literal["tensorboard", "wandb", "mlflow"]


class TrainConfig(Section):
    """One training run."""

    # Not in ``arguments``, whose values are checked against the types of the method: each fault is told once.
    model_config = ConfigDict(allow_inf_nan=True)

    method: str
    dataset: str = Field(description="a name, or the path of a split file or of own data")
    data_root: str | None = None
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=0, ge=0, description="epochs between epoch=NNN.pt files; 0 keeps none")
    resume_every_steps: int = Field(
        default=0, ge=0, description="steps between saved states inside an epoch; 0 saves after each epoch only"
    )
    loggers: list[LoggerName] = Field(default_factory=list, description="beside metrics.csv, which is always written")
    arguments: dict[str, Argument] = Field(default_factory=dict)
    data: DataConfig = Field(default_factory=DataConfig)
    preprocessing: PreprocessingConfig = Field(default_factory=PreprocessingConfig)
    recipe: RecipeConfig
    nc: CollapseConfig = Field(default_factory=CollapseConfig)
    trainer: TrainerConfig = Field(default_factory=TrainerConfig)

    def settings_that_count(self) -> dict[str, object]:
        """Give what makes this run another than others: all but where it is computed and what is written beside it.

        Returns:
            Dotted keys and plain values; ``arguments`` with the defaults of the method filled in.
        """
        document = self.in_full().model_dump(mode="json")
        return {key: value for key, value in flat_settings(document).items() if key not in SETTINGS_OF_PLACE}

    def in_full(self) -> TrainConfig:
        """Write out the arguments of the method that were left at their defaults, which may change with its versions.

        Returns:
            The same configuration with all ``arguments`` but ``seed``, which is that of the run.
        """
        return self.model_copy(update={"arguments": {**usual_arguments(self.method), **self.arguments}})


def flat_settings(document: Mapping[str, object]) -> dict[str, object]:
    """Write the sections of a configuration as dotted keys.

    Args:
        document: What ``config.yaml`` holds.

    Returns:
        Key -> value.

    Example:
        >>> flat_settings({"seed": 1, "nc": {"every": 5}})
        {'seed': 1, 'nc.every': 5}
    """
    flat: dict[str, object] = {}
    for key, value in document.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def make_config(method: str, dataset: str, settings: Mapping[str, object] | None = None, **top: object) -> TrainConfig:
    """Fill a configuration: defaults of the method for this data set, then the given settings.

    Args:
        method: Name of the method.
        dataset: Name of the data set, or the path of a split file or of own data.
        settings: Dotted keys, for example ``{"recipe.epochs": 5, "arguments.fla_weight": 0.0}``. A name that only one
            section knows may stand alone: ``epochs``, ``fla_weight``.
        **top: Values of the top level (``seed``, ``device``, ``data_root``, ...).

    Returns:
        The checked configuration.

    Raises:
        UnknownNameError: If the method or a key does not exist; near misses are listed.
        ConfigError: If a value has the wrong type or lies out of range.

    Example:
        >>> make_config("erm", "digits_lt", {"epochs": 3}).recipe.epochs
        3
    """
    name = method_name(method)
    dataset = whole_path(canonical_name(dataset), dataset)
    document: dict[str, object] = {
        "method": name,
        "dataset": dataset,
        "arguments": dict(default_arguments(name, dataset)),
        "data": {},
        "preprocessing": {},
        "recipe": asdict(default_recipe(name, dataset)),
        "nc": {},
        "trainer": {},
        **top,
    }
    config = check_config(put_settings(document, settings or {}, _known_keys(name)))
    suited = method_class(name).suited_arguments(dataset, config.arguments)
    return config.model_copy(update={"arguments": {**config.arguments, **suited}}) if suited else config


def with_settings(
    config: TrainConfig,
    settings: Mapping[str, object],
    *,
    method: str | None = None,
    dataset: str | None = None,
) -> TrainConfig:
    """Return a configuration with some values changed.

    Args:
        config: The configuration; it stays as it is.
        settings: Dotted keys as for ``make_config``; of the data, too.
        method: Must be the one of the configuration, if it is given.
        dataset: Must be the one of the configuration, if it is given.

    Returns:
        Another configuration, checked.

    Raises:
        UnknownNameError: If a key does not exist; near misses are listed.
        ConfigError: If a value does not fit, or the configuration is of another method or data set.

    Example:
        >>> with_settings(make_config("erm", "digits_lt"), {"epochs": 3, "seed": 1}).recipe.epochs
        3
    """
    whole = None if dataset is None else whole_path(canonical_name(dataset), dataset)
    asked = (("method", method and method_name(method), config.method), ("dataset", whole, config.dataset))
    for key, wanted, own in asked:
        if wanted is not None and wanted != own:
            raise ConfigError(
                f"the configuration is of {key} {own!r}, not {wanted!r}: leave that out, or start without the file"
            )
    return check_config(put_settings(config.model_dump(mode="json"), settings, _known_keys(config.method)))


def check_config(document: Mapping[str, object]) -> TrainConfig:
    """Check plain values against the schema.

    Args:
        document: What ``config.yaml`` holds.

    Returns:
        The configuration.

    Raises:
        ConfigError: If a key is unknown or missing, or a value does not fit.
        UnknownNameError: If an argument of the method does not exist; near misses are listed.
    """
    named = document.get("method")
    if isinstance(named, str):
        method_name(named)
    try:
        config = TrainConfig.model_validate(dict(document))
    except ValidationError as error:
        faults = described_faults(error, ["method", "dataset", *_known_keys(document.get("method"))])
        raise ConfigError(f"the configuration does not fit: {faults}") from error
    known = argument_names(config.method)
    for key in config.arguments:
        if key not in known:
            raise UnknownNameError(f"argument of {config.method}", key, known)
    wrong = [
        *argument_faults(config.arguments, argument_types(config.method)),
        *preprocessing_faults(config.preprocessing.model_dump(), config.dataset),
    ]
    if wrong:
        raise ConfigError(f"the configuration does not fit: {'; '.join(wrong)}")
    try:
        check_arguments(config.method, config.arguments)
    except UnknownNameError:
        raise
    except ValueError as error:
        raise ConfigError(f"the configuration does not fit: {error}") from error
    return config


_SECTIONS = ("arguments", "data", "preprocessing", "recipe", "nc", "trainer")


def _known_keys(method: object) -> list[str]:
    # What a method is made of first: a message lists only as many as one reads.
    top = [name for name in TrainConfig.model_fields if name not in {"method", "dataset", *_SECTIONS}]
    return [
        *(f"arguments.{name}" for name in (argument_names(method) if isinstance(method, str) else [])),
        *top,
        *(f"data.{name}" for name in DataConfig.model_fields),
        *(f"preprocessing.{name}" for name in PreprocessingConfig.model_fields),
        *(f"recipe.{name}" for name in RecipeConfig.model_fields),
        *(f"nc.{name}" for name in CollapseConfig.model_fields),
        *(f"trainer.{name}" for name in TrainerConfig.model_fields),
    ]
