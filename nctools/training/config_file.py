"""``config.yaml``: a configuration as a file."""

from __future__ import annotations

from pathlib import Path

import yaml

from nctools.errors import ConfigError, NctoolsError
from nctools.run_directory import replace_atomically
from nctools.training.config import TrainConfig, check_config
from nctools.training.settings import as_meant


def save_config(config: TrainConfig, path: Path) -> None:
    """Write a configuration as YAML.

    Args:
        config: The configuration.
        path: Target.
    """
    with replace_atomically(path) as temporary:
        temporary.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def load_config(path: Path) -> TrainConfig:
    """Read a configuration.

    Args:
        path: A ``config.yaml``.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: If the file is missing, not YAML or does not fit the schema; the message names it.
    """
    try:
        document: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a configuration ({' '.join(str(error).split())})") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds no configuration (top level is {type(document).__name__}, not a mapping)")
    try:
        return check_config(as_meant(document))
    except NctoolsError as error:
        raise ConfigError(f"{path}: {error}") from error
