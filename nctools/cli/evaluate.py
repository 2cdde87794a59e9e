"""``nctools evaluate``: mAP total and by group, G-mAP, F1 of a checkpoint."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

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
    JsonFile,
    Mean,
    Model,
    ModelArgs,
    Quiet,
    Std,
    Workers,
)
from nctools.cli.output import input_errors, number, print_table, refuse_to_overwrite, say, write_json


class WeightsShown(StrEnum):
    """Which weights are scored."""

    raw = "raw"
    ema = "ema"
    both = "both"


def run(
    context: typer.Context,
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="File of weights (.pt, .ckpt, .safetensors), for example RUN/checkpoints/best.pt."),
    ] = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: test]")] = None,
    model: Model = None,
    model_args: ModelArgs = None,
    weights: Annotated[WeightsShown, typer.Option("--weights", help="raw, ema, or both.")] = WeightsShown.raw,
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
    json_file: JsonFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Score a checkpoint: exact, tie-aware average precision; classes without positives are left out and named.

    Example: nctools evaluate runs/mlc_nc/checkpoints/best.pt
    """
    from nctools.checkpoints import evaluate_checkpoint

    refuse_to_overwrite(json_file, force=force)
    kinds: list[Literal["raw", "ema"]] = ["raw", "ema"] if weights is WeightsShown.both else []
    if weights is not WeightsShown.both:
        kinds = ["raw" if weights is WeightsShown.raw else "ema"]
    evaluations = {}
    with input_errors():
        for kind in kinds:
            options = forward_options({**context.params, "weights": kind})
            evaluations[kind] = evaluate_checkpoint(checkpoint, split=split, progress=not quiet, **options)
    first, title, used = evaluations[kinds[0]], str(checkpoint or model), split or "test"
    if json_file is not None:
        documents = {kind: value.to_document() for kind, value in evaluations.items()}
        write_json(
            {"schema": 1, "checkpoint": title, "split": used, "weights": documents},
            json_file,
        )
    if json_file != "-":
        rows = [
            [
                kind,
                *(number(100 * value) for value in evaluation.mean_average_precision.values()),
                number(100 * evaluation.g_map),
                number(100 * evaluation.decisions["micro"].f1),
                number(100 * evaluation.decisions["macro"].f1),
            ]
            for kind, evaluation in evaluations.items()
        ]
        headings = [f"mAP {group}" for group in first.mean_average_precision]
        print_table(
            f"{title}  split: {used}  (%)",
            ["weights", *headings, "G-mAP", "micro F1", "macro F1"],
            rows,
        )
    if first.left_out:
        say(f"note: no positive in this split, left out of every mean: {', '.join(first.left_out)}")
