"""``nctools evaluate``: mAP total and by group, G-mAP, precision, recall, F1, calibration of checkpoints and runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.evaluation_table import Comparison, print_evaluations
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
from nctools.cli.output import input_errors, refuse_to_overwrite, say, write_json
from nctools.errors import ConfigError

if TYPE_CHECKING:
    from nctools.evaluation.paper_check import PublishedRow
    from nctools.forward_options import ForwardOptions
    from nctools.run_evaluation import RunEvaluations
    from nctools.trained_runs import TrainedRun


class WeightsShown(StrEnum):
    """Which weights are scored."""

    raw = "raw"
    ema = "ema"
    both = "both"


class Which(StrEnum):
    """Which checkpoint of a run is scored."""

    best = "best"
    last = "last"


class Counted(StrEnum):
    """How average precision is counted."""

    tie_aware = "tie-aware"
    rank = "rank"
    voc11 = "voc11"


def run(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Run directory, folder of runs with different seeds, or file of weights (.pt, .ckpt, .safetensors); "
            "several are averaged.",
            show_default=False,
        ),
    ] = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: test]")] = None,
    checkpoint: Annotated[
        Which,
        typer.Option(
            "--checkpoint", help="Of a run: best on validation (the last, if nothing was validated), or last."
        ),
    ] = Which.best,
    ap: Annotated[
        Counted,
        typer.Option(
            "--ap",
            help="Average precision: tie-aware; rank (tied samples one by one, as the released code of MLC-NC, COMIC "
            "and CPRFL) or voc11 (11 points) for comparison.",
        ),
    ] = Counted.tie_aware,
    check_paper: Annotated[
        bool,
        typer.Option(
            "--check-paper",
            help="Show the published mAP beside ours; exit code 4 if a group is further off than allowed.",
        ),
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Points of mAP that --check-paper allows, up or down.")
    ] = 1.0,
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
    """Score runs: exact, tie-aware average precision; classes without positives are left out and named.

    Runs that differ in their seed alone are averaged: mean +- standard deviation.

    Example: nctools evaluate runs/mlc_nc

    Example: nctools evaluate runs/voc_lt-mlc_nc --weights both --check-paper --tolerance 1.0
    """
    from nctools.run_evaluation import evaluate_runs

    refuse_to_overwrite(json_file, force=force)
    options = forward_options({**context.params, "weights": "raw"})
    kinds: list[Literal["raw", "ema"]] = ["raw", "ema"] if weights is WeightsShown.both else []
    if weights is not WeightsShown.both:
        kinds = ["raw" if weights is WeightsShown.raw else "ema"]
    with input_errors():
        row = None
        if check_paper:  # before minutes of scoring
            row = _published(paths, which=checkpoint.value, split=split, protocol=ap.value, options=options)
        found = evaluate_runs(
            paths or [],
            kinds=kinds,
            checkpoint=checkpoint.value,
            split=split,
            protocol=ap.value,
            progress=not quiet,
            **options,
        )
        paper = None if row is None else _compared(row, found, tolerance)
    title = ", ".join(map(str, paths)) if paths else str(model)
    if json_file is not None:
        write_json(_document(found, title=title, split=split or "test", paper=paper, tolerance=tolerance), json_file)
    if json_file != "-":
        print_evaluations(found, title=title, split=split or "test", paper=paper)
    left_out = found.runs[0].evaluations[kinds[0]].left_out
    if left_out:
        say(f"note: no positive in this split, left out of every mean: {', '.join(left_out)}")
    if paper is not None and not _passes(paper, tolerance):
        raise typer.Exit(4)


def _published(
    paths: Sequence[Path] | None,
    *,
    which: Literal["best", "last"],
    split: str | None,
    protocol: Literal["tie-aware", "rank", "voc11"],
    options: ForwardOptions,
) -> PublishedRow:
    from nctools.paper_comparison import published_row_of
    from nctools.trained_runs import trained_runs

    if not paths or options.get("data") is not None or split not in {None, "test"}:
        raise ConfigError(
            "--check-paper compares runs and checkpoints of nctools on the test split of a data set with a name: "
            "leave --data and --split out"
        )
    first: TrainedRun = trained_runs(paths, which=which)[0]
    row, differing = published_row_of(first, protocol=protocol, **options)
    if differing:
        say(f"note: not as published: {', '.join(differing)}")
    return row


def _compared(row: PublishedRow, found: RunEvaluations, tolerance: float) -> Comparison:
    from nctools.evaluation.paper_check import deviations

    return row, {
        kind: deviations(row, found.mean_average_precision(kind), tolerance=tolerance) for kind in found.weights
    }


def _passes(paper: Comparison, tolerance: float) -> bool:
    row, compared = paper
    failed = [f"{kind} {off}" for kind, values in compared.items() for off in values if not off.within]
    what = f"{tolerance:g} points of mAP from {row.method} on {row.dataset} as published ({row.paper})"
    say(f"check failed: more than {what}: {'; '.join(failed)}" if failed else f"check passed: at most {what}")
    return not failed


def _document(
    found: RunEvaluations, *, title: str, split: str, paper: Comparison | None, tolerance: float
) -> dict[str, object]:
    first = found.runs[0]
    document: dict[str, object] = {
        "schema": 1,
        "checkpoint": title,
        "split": split,
        "protocol": first.evaluations[found.weights[0]].protocol,
        **found.to_document(),
    }
    if len(found.runs) == 1:
        document["weights"] = {kind: value.to_document() for kind, value in first.evaluations.items()}
    if paper is not None:
        row, compared = paper
        document["paper"] = {
            "paper": row.paper,
            "method": row.method,
            "dataset": row.dataset,
            "setting": row.setting,
            "published": row.mean_average_precision,
            "tolerance": tolerance,
            "within": all(off.within for values in compared.values() for off in values),
            "differences": {
                kind: {off.group: None if math.isnan(off.ours) else off.difference for off in values}
                for kind, values in compared.items()
            },
        }
    return document
