"""``nctools plot map-bars``."""

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
    ScoredRuns,
    ScoredSplit,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
)


def run(
    context: typer.Context,
    runs: ScoredRuns = None,
    out: Out = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Below, AP of each class, most frequent class first.")
    ] = False,
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
    """Draw mAP of all classes and of each group, a bar for each run; of several seeds mean and standard deviation.

    Example: nctools plot map-bars runs/mlc_nc runs/erm --per-class -o map.png
    """
    from nctools.figures import map_bars_of

    options = forward_options(context.params)
    chosen: list[Path] = chosen_inputs(runs)
    draw_to(
        figure_target(out, default_target(chosen[0], "map-bars-classes.png" if per_class else "map-bars.png"), formats),
        lambda: map_bars_of(
            chosen,
            per_class=per_class,
            split=split,
            progress=not quiet,
            **options,
        ),
        formats=formats,
        force=force,
        style=style,
    )
