"""TensorBoard, Weights & Biases and MLflow by name: opened, gone on with when a run is resumed, and closed."""

from __future__ import annotations

import importlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, cast

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from nctools.errors import ConfigError, MissingExtraError
from nctools.run_directory import RunDirectory, replace_atomically
from nctools.training.config import LoggerName, TrainConfig

Outcome = Literal["finished", "interrupted", "failed"]
_Opened = TensorBoardLogger | WandbLogger | MLFlowLogger

# Name of the project (W&B) and experiment (MLflow), unless WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME say otherwise.
_PROJECT: Final = "nctools"
_MENDS: Final[Mapping[LoggerName, str]] = {
    "tensorboard": "look whether the run directory can be written to",
    "wandb": "`wandb login`, or set WANDB_MODE=offline",
    "mlflow": "look at MLFLOW_TRACKING_URI; without it MLflow writes into the run directory",
}
# What MLflow calls the ways in which a run can end; W&B knows 0 and others.
_STATUS: Final[Mapping[Outcome, str]] = {"finished": "success", "interrupted": "KILLED", "failed": "failed"}


def check_loggers(names: Sequence[LoggerName]) -> None:
    """Look whether the libraries of loggers are there, before anything is written.

    Args:
        names: Names of loggers.

    Raises:
        MissingExtraError: If a library is not installed.
        ModuleNotFoundError: If a library itself lacks another one.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise MissingExtraError(f"the logger {name}", library=name, extra=name) from error


def build_loggers(names: Sequence[LoggerName], run: RunDirectory, config: TrainConfig) -> list[Logger]:
    """Open loggers. Call it in the first process alone, and close them with ``close_loggers``.

    A logger that this run has opened before goes on where it was: the same folder of TensorBoard, the same run of W&B
    or MLflow (``loggers.json`` has their ids). One that is opened for the first time is told the configuration.

    Args:
        names: Which.
        run: Where they write, unless they are told of a server (``WANDB_MODE``, ``MLFLOW_TRACKING_URI``).
        config: Of the run.

    Returns:
        Open loggers of Lightning, in the order of the names.

    Raises:
        ConfigError: If a logger does not open, or ``loggers.json`` is damaged.
        MissingExtraError: If a library is not installed.
    """
    check_loggers(names)
    known = _read_ids(run.loggers)
    opened: list[Logger] = []
    try:
        for name in names:
            with _told_as_configuration(name), _environment_kept("MLFLOW_TRACKING_URI"):
                logger = _made(name, run, known.get(name))
                _ = logger.experiment  # opens it
                opened.append(logger)
                if name not in known:
                    _tell(logger, config)
                known[name] = str(logger.version)
        if names:
            _write_ids(run.loggers, known)
    except BaseException:
        close_loggers(opened, "failed")
        raise
    return opened


def close_loggers(loggers: Sequence[Logger], outcome: Outcome) -> None:
    """Write what is left, and say how the run ended.

    Args:
        loggers: Open loggers.
        outcome: How it ended; an interrupted one may be resumed.
    """
    for logger in loggers:
        logger.finalize(_STATUS[outcome])
        if isinstance(logger, WandbLogger):
            # Lightning leaves its run open; the next one in this process would go on in it.
            logger.experiment.finish(exit_code=0 if outcome == "finished" else 1)


def flat_parameters(config: TrainConfig) -> dict[str, str | int | float | bool | None]:
    """Give a configuration as one level of names, as the loggers want it.

    Args:
        config: Any.

    Returns:
        Dotted key, as on the command line, -> value; lists as text.

    Example:
        >>> from nctools.training import make_config
        >>> flat = flat_parameters(make_config("erm", "digits_lt", {"epochs": 3}))
        >>> flat["method"], flat["recipe.epochs"]
        ('erm', 3)
    """
    return dict(_flat(config.model_dump(mode="json"), ""))


def _flat(values: Mapping[str, object], above: str) -> Iterator[tuple[str, str | int | float | bool | None]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif value is None or isinstance(value, str | int | float):
            yield above + name, value
        else:
            yield above + name, ", ".join(map(str, cast("Sequence[object]", value)))


def _made(name: LoggerName, run: RunDirectory, known: str | None) -> _Opened:
    title = run.title
    if name == "tensorboard":
        return TensorBoardLogger(run.path, name=run.tensorboard.name, version="", default_hp_metric=False)
    if name == "wandb":
        run.wandb.mkdir(parents=True, exist_ok=True)  # without a folder W&B takes one of its own
        project = os.environ.get("WANDB_PROJECT") or _PROJECT
        return WandbLogger(name=title, save_dir=run.path, project=project, id=known or uuid.uuid4().hex[:12])
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _PROJECT
    # Lightning looks at the environment when it is imported, and would take a folder of files, which MLflow 3 refuses.
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server is None:
        run.mlflow.mkdir(parents=True, exist_ok=True)
    folder = run.mlflow.absolute()
    logger = MLFlowLogger(
        experiment_name=experiment,
        run_name=title,
        tracking_uri=server or f"sqlite:///{folder / 'mlflow.db'}",
        artifact_location=None if server else (folder / "artifacts").as_uri(),
        run_id=known,
    )
    if known is not None:
        logger.experiment.update_run(known, status="RUNNING")
    return logger


def _tell(logger: _Opened, config: TrainConfig) -> None:
    parameters = flat_parameters(config)
    logger.log_hyperparams(parameters)
    if isinstance(logger, TensorBoardLogger):
        # Its page shows no hparams.yaml; four spaces make it a block of code.
        logger.experiment.add_text("config", "\n".join(f"    {name}: {value}" for name, value in parameters.items()))


@contextmanager
def _told_as_configuration(name: LoggerName) -> Iterator[None]:
    # Their libraries have errors of their own, of all kinds.
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"the logger {name} does not open ({said}): {_MENDS[name]}, or leave it out") from error


@contextmanager
def _environment_kept(variable: str) -> Iterator[None]:
    # MLflow sets its variable to what it was given; the next run in this process would go on there.
    before = os.environ.get(variable)
    try:
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before


def _read_ids(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): remove it, and the loggers begin anew") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigError(f"{path} holds no ids of loggers: remove it, and the loggers begin anew")
    return found


def _write_ids(path: Path, ids: Mapping[str, str]) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_text(json.dumps(ids, indent=2), encoding="utf-8")
