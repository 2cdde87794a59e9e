"""``nctools plot logits``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.options import CheckpointDataset, DataRoot, Device, Force, Quiet, Weights, WeightsOption
from nctools.cli.plot.output import (
    Formats,
    Look,
    Out,
    ScoredSplit,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
)


def run(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories or files of weights, side by side. Default: the newest run."),
    ] = None,
    out: Out = None,
    split: ScoredSplit = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    weights: WeightsOption = Weights.raw,
    device: Device = "auto",
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw the logits of positives and of negatives by group, and which share of them lies above the threshold.

    Example: nctools plot logits runs/mlc_nc runs/erm -o logits.png
    """
    from nctools.figures import logits_of

    chosen = chosen_inputs(runs)
    draw_to(
        out or default_target(chosen[0], "logits.png"),
        lambda: logits_of(
            chosen,
            split=split,
            progress=not quiet,
            dataset=dataset,
            data_root=data_root,
            weights=weights.value,
            device=device,
        ),
        formats=formats,
        force=force,
        style=style,
    )
