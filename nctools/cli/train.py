"""``nctools train``: train a method and write its run directory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from nctools.cli.data_options import DataSettingsText, parse_data_settings
from nctools.cli.options import DataRoot, Quiet
from nctools.cli.output import another_place, say, to_paste
from nctools.cli.train_checks import check_arguments, check_method
from nctools.cli.train_seeds import resumed_several, train_several
from nctools.errors import ConfigError, NctoolsError, ProcessError, UnknownNameError
from nctools.run_directory import RunDirectory

if TYPE_CHECKING:
    from nctools.training import TrainConfig

OwnData = Annotated[
    Path | None,
    typer.Option("--data", help="Your own images instead of --dataset: a folder, or a file of labels."),
]


def run(
    method: Annotated[
        str | None,
        typer.Argument(
            help="Method, for example mlc_nc (see: nctools methods), or a class of your own: my_module:MyMethod.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Data set, for example digits_lt (see: nctools data list), or a split file."),
    ] = None,
    data: OwnData = None,
    data_root: DataRoot = None,
    settings_of_data: DataSettingsText = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run directory. Default: runs/DATASET-METHOD-sSEED.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Start from this config.yaml instead of METHOD --dataset; settings change it."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Repeatable: --set epochs=5 --set fla_weight=0 --set recipe.max_lr=1e-3."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", help="Of two stages (lws) those of the first. Short for --set recipe.epochs=N."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Any timm name, or small. Short for --set arguments.backbone=NAME.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="paper or released; mfm: or prior. Short for --set arguments.variant=NAME."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option("--head", help="linear or class_attention. Short for --set arguments.head=NAME."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss", help="Classification loss of mlc_nc (see: nctools losses). Short for --set arguments.loss=NAME."
        ),
    ] = None,
    label_embedding: Annotated[
        str | None,
        typer.Option(
            "--label-embedding",
            help="etf, trainable, random or text:FILE. Short for --set arguments.label_embedding=TEXT.",
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", help="Peak learning rate; of two stages (lws) the first one's. Short for --set recipe.max_lr=X."
        ),
    ] = None,
    ema: Annotated[
        float | None, typer.Option("--ema", help="Decay of the averaged weights. Short for --set recipe.ema_decay=X.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed. Short for --set recipe.precision=NAME."),
    ] = None,
    devices: Annotated[
        int | None, typer.Option("--devices", help="GPUs, or processes on the CPU. Short for --set trainer.devices=N.")
    ] = None,
    nc_every: Annotated[
        int | None,
        typer.Option("--nc-every", help="Epochs between NC measurements; 0: never. Short for --set nc.every=N."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of weights, order and augmentation. [default: 0]")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="Several, for example 0,1,2: OUT/s0, OUT/s1, ... and their mean.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda. [default: auto]")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes that load images. [default: 0]")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="RUN", help="Go on with an interrupted run, exactly as if it had not been interrupted."
        ),
    ] = None,
    loggers: Annotated[
        list[str] | None,
        typer.Option(
            "--logger",
            metavar="NAME,...",
            help="Who gets the rows of metrics.csv, too: tensorboard, wandb, mlflow. Repeatable.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that has finished an epoch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole configuration and stop.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a method: RUN/ gets config.yaml, checkpoints/{last,best}.pt, metrics.csv (loss, mAP) and nc.csv (NC).

    The best checkpoint is the one with the highest validation mAP. Ctrl-C saves the state after the present step.

    Of two stages (lws, pseudo_label) --epochs, --lr and recipe.* are the first one's. pseudo_label trains its second
    with the same, lws with rescaling_epochs and rescaling_lr.

    Example: nctools train mlc_nc --dataset digits_lt --out runs/mlc_nc

    Example: nctools train --resume runs/mlc_nc
    """
    from nctools.training import load_config, make_config, with_settings
    from nctools.training.placement import is_first_process, place_of
    from nctools.training.settings import parse_settings

    shortcuts = {
        "recipe.epochs": epochs,
        "arguments.backbone": backbone,
        "arguments.variant": variant,
        "arguments.head": head,
        "arguments.loss": loss,
        "arguments.label_embedding": label_embedding,
        "recipe.max_lr": lr,
        "recipe.ema_decay": ema,
        "recipe.precision": precision,
        "trainer.devices": devices,
        "nc.every": nc_every,
        "seed": seed,
        "device": device,
        "workers": workers,
        "loggers": _loggers(loggers),
        # Where the run is started does not matter when it is repeated or measured.
        "data_root": None if data_root is None else str(Path(data_root).expanduser().absolute()),
    }
    given: dict[str, object] = {key: value for key, value in shortcuts.items() if value is not None}
    with _wrong_usage():
        given |= parse_settings(settings or [])
    given |= {f"data.{key}": value for key, value in parse_data_settings(settings_of_data).items()}
    dataset = _what(dataset, data)
    _check_together(seeds, seed, resume, force=force)
    alone = not (method or dataset or config or out or seeds or given)
    if resume is not None and resumed_several(resume, alone=alone, progress=not quiet):
        return
    chosen: TrainConfig
    if resume is not None:
        chosen, out = _of_run(resume, method=method, dataset=dataset, config=config, out=out, given=given), resume
    elif config is not None:
        loaded = load_config(config)
        with _wrong_usage():
            check_arguments(loaded.method, given)
            chosen = with_settings(loaded, given, method=method, dataset=dataset)
    elif method is None or dataset is None:
        raise typer.BadParameter("say what to train: METHOD and --dataset NAME or --data PATH (or --config FILE)")
    else:
        with _wrong_usage():
            check_method(method)
            check_arguments(method, given)
            chosen = make_config(method, dataset, given)
    if dry_run:
        import yaml

        sys.stdout.write(yaml.safe_dump(chosen.in_full().model_dump(mode="json"), sort_keys=False))
        return
    if seeds is not None:
        if place_of(chosen.trainer).start == "outside":
            raise typer.BadParameter("--seeds starts its processes itself (--devices): leave torchrun or srun out")
        train_several(chosen, seeds, out, force=force, progress=not quiet)
        return
    target = out or Path("runs") / f"{Path(chosen.dataset).stem}-{chosen.method.replace(':', '.')}-s{chosen.seed}"
    finished = _trained(chosen, target, force=force, resume=resume is not None, quiet=quiet)
    if is_first_process():
        sys.stdout.write(f"{finished.path}\n")
        say(f"next: nctools measure {finished.checkpoints / 'last.pt'}   nctools plot nc-curves {finished.path}")


def _trained(chosen: TrainConfig, target: Path, *, force: bool, resume: bool, quiet: bool) -> RunDirectory:
    from nctools.training import train
    from nctools.training.placement import is_first_process

    try:
        with another_place(target):
            return train(chosen, target, force=force, resume=resume, progress=not quiet)
    except KeyboardInterrupt:
        saved = RunDirectory(target).can_go_on
        kept = f"go on with: {to_paste('train', resume=target)}" if saved else "nothing was saved yet"
        if is_first_process():
            say(f"interrupted; {kept}")
        raise typer.Exit(130) from None
    except ProcessError:
        # Where torchrun or srun started them, the one that failed said why, and the first one repeats it.
        if is_first_process():
            raise
        raise typer.Exit(3) from None
    except NctoolsError:
        raise
    except ValueError as error:
        raise ConfigError(f"the configuration does not fit: {' '.join(str(error).split())}") from error


def _of_run(
    run: Path,
    *,
    method: str | None,
    dataset: str | None,
    config: Path | None,
    out: Path | None,
    given: dict[str, object],
) -> TrainConfig:
    # The run's own configuration; where it is computed may change, what it is may not.
    from nctools.training import load_config
    from nctools.training.config import with_settings

    if method or dataset or config or out:
        raise typer.BadParameter(
            "--resume goes on with a run as it is: leave METHOD, --dataset, --config and --out out"
        )
    if not RunDirectory(run).config.is_file():
        raise ConfigError(f"{run} is no run of nctools (it has no config.yaml): --resume takes a run directory")
    chosen = load_config(RunDirectory(run).config)
    with _wrong_usage():
        check_arguments(chosen.method, given)
        return with_settings(chosen, given)


def _check_together(seeds: str | None, seed: int | None, resume: Path | None, *, force: bool) -> None:
    if resume is not None and force:
        raise typer.BadParameter("--resume goes on with a run, --force begins it again: one of them")
    if seeds is not None and (seed is not None or resume is not None):
        raise typer.BadParameter(f"--seeds {seeds} begins runs of its own seeds: leave --seed and --resume out")


def _loggers(given: list[str] | None) -> list[str] | None:
    from nctools.training.config import LoggerName

    if given is None:
        return None
    known = ("csv", *get_args(LoggerName))  # the table is always written
    names = dict.fromkeys(name.strip() for text in given for name in text.split(","))
    for name in names:
        if name not in known:
            raise UnknownNameError("logger", name, known)
    return [name for name in names if name != "csv"]


@contextmanager
def _wrong_usage() -> Iterator[None]:
    # What is wrong here was written on the command line, not in a file.
    try:
        yield
    except ConfigError as error:
        raise typer.BadParameter(str(error).replace("the configuration does not fit: ", "")) from error


def _what(dataset: str | None, data: Path | None) -> str | None:
    if data is None:
        return dataset
    if dataset is not None:
        raise typer.BadParameter(f"both --dataset {dataset} and --data were given: one of them")
    return str(data.absolute())
