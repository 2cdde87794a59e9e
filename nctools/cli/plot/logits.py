"""``nctools plot logits``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.forward import forward_options
from nctools.cli.options import (
    AutocastOption,
    BatchSize,
    ChannelsLast,
    CheckpointDataset,
    Data,
    DataArgs,
    DataRoot,
    Device,
    Force,
    ImageSize,
    Mean,
    Model,
    ModelArgs,
    Quiet,
    Std,
    Weights,
    WeightsOption,
    Workers,
)
from nctools.cli.plot.output import (
    Formats,
    Look,
    Out,
    ScoredSplit,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
)


def run(
    context: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories or files of weights, side by side. Default: the newest run."),
    ] = None,
    out: Out = None,
    split: ScoredSplit = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    model: Model = None,
    model_args: ModelArgs = None,
    weights: WeightsOption = Weights.raw,
    data: Data = None,
    data_args: DataArgs = None,
    data_settings: DataSettingsText = None,
    image_size: ImageSize = None,
    mean: Mean = None,
    std: Std = None,
    batch_size: BatchSize = 256,
    workers: Workers = 0,
    device: Device = "auto",
    autocast: AutocastOption = None,
    channels_last: ChannelsLast = False,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw the logits of positives and of negatives by group, and which share of them lies above the threshold.

    Example: nctools plot logits runs/mlc_nc runs/erm -o logits.png
    """
    from nctools.figures import logits_of

    options = forward_options(context.params)
    chosen = chosen_inputs(runs)
    draw_to(
        figure_target(out, default_target(chosen[0], "logits.png"), formats),
        lambda: logits_of(
            chosen,
            split=split,
            progress=not quiet,
            **options,
        ),
        formats=formats,
        force=force,
        style=style,
    )
