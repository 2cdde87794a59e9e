"""``nctools measure``: the NC table by group, of checkpoints or feature files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from nctools import __version__
from nctools.cli.memory import STORE_SUFFIXES, print_plans
from nctools.cli.nc_table import print_depth, print_result
from nctools.cli.options import CheckpointDataset, DataRoot, Device, Force, JsonFile, Quiet, Weights, WeightsOption
from nctools.cli.output import (
    input_errors,
    refuse_to_overwrite,
    say,
    write_json,
)
from nctools.collapse.catalogue import PRESETS
from nctools.errors import NctoolsError

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult
    from nctools.measurement import Settings


class Averaged(StrEnum):
    """Mean over classes or over samples."""

    by_class = "class"
    by_sample = "sample"


class Scope(StrEnum):
    """Frame of a group's values."""

    across = "global"
    within = "within"


class Convention(StrEnum):
    """Settings of a published code."""

    papyan = "papyan"
    zhu = "zhu"
    rhubarbwu = "rhubarbwu"


class Precision(StrEnum):
    """Type of the products of the second pass."""

    auto = "auto"
    float32 = "float32"
    float64 = "float64"


class Ends(StrEnum):
    """Where the other end of a pair of classes may be."""

    anywhere = "any"
    within = "within"


_NUMBERS: Final = "Settings that change the numbers"
_SIZE: Final = "Large data"


def run(
    inputs: Annotated[list[Path], typer.Argument(help="Checkpoints (.pt) or feature files (.h5), one or more.")],
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Split to measure a checkpoint on. [default: train]")
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option("--groups", help='JSON file {"name": [class index, ...], ...}. Default: head / medium / tail.'),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics", help="default, long-tail, all, or ids: nc1_pinv,nc2_etf_error (see: nctools metrics)."
        ),
    ] = "default",
    space: Annotated[
        list[str] | None, typer.Option("--space", help="Feature space, repeatable. Default: all of the file or method.")
    ] = None,
    centre: Annotated[
        Averaged, typer.Option("--centre", help="Global mean over class means or samples.", rich_help_panel=_NUMBERS)
    ] = Averaged.by_class,
    weighting: Annotated[
        Averaged, typer.Option("--weighting", help="NC1, NC4: mean over classes or samples.", rich_help_panel=_NUMBERS)
    ] = Averaged.by_class,
    scope: Annotated[
        Scope,
        typer.Option("--scope", help="Frame of a group: all classes, or the group alone.", rich_help_panel=_NUMBERS),
    ] = Scope.across,
    convention: Annotated[
        Convention | None,
        typer.Option("--convention", help="Settings of a published code, for comparison.", rich_help_panel=_NUMBERS),
    ] = None,
    ddof: Annotated[
        int,
        typer.Option(
            "--ddof",
            min=0,
            max=1,
            help="Spread of a class of n pairs over n (0, as in the literature) or n - 1 (1, unbiased for small n).",
            rich_help_panel=_NUMBERS,
        ),
    ] = 0,
    pairs: Annotated[
        Ends,
        typer.Option(
            "--pairs",
            help="Angles and other pair metrics of a group: the other class anywhere, or within the group too.",
            rich_help_panel=_NUMBERS,
        ),
    ] = Ends.anywhere,
    min_count: Annotated[
        int,
        typer.Option(
            "--min-count",
            min=1,
            help="Leave out classes with fewer pairs, as if absent: their means are mostly noise.",
            rich_help_panel=_NUMBERS,
        ),
    ] = 1,
    multiplicity: Annotated[
        int | None,
        typer.Option(
            "--multiplicity",
            min=1,
            help="Only images with exactly so many labels; 1 makes multi-label data comparable with single-label data.",
            rich_help_panel=_NUMBERS,
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Products of the second pass. auto: float32 for many pairs of short floats, with values as of float64 "
            "to about 1e-6; sums are float64 in any case.",
            rich_help_panel=_NUMBERS,
        ),
    ] = Precision.auto,
    sample_pairs: Annotated[
        int | None,
        typer.Option(
            "--sample-pairs",
            min=1,
            help="NC4 looks at about so many pairs, the same ones each time. The standard error of a share is at most "
            "0.5 / sqrt(pairs): 20000 pairs give 0.0035.",
            rich_help_panel=_SIZE,
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            help="Most memory for arrays: 512M, 4G, 2GiB. Values stay the same; what does not fit is done in parts, or "
            "refused with the metrics that need it. Default: what is fastest.",
            rich_help_panel=_SIZE,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only tell what would be kept in memory, what done in tiles, and how often the data are read.",
            rich_help_panel=_SIZE,
        ),
    ] = False,
    depth_eps: Annotated[
        float | None,
        typer.Option(
            "--depth-eps",
            min=0.0,
            max=1.0,
            help="Effective depth of several layers: share of pairs whose nearest class mean may be wrong. Given, "
            "nc4_ncc_accuracy is measured in every layer. [default: 0.02]",
        ),
    ] = None,
    weights: WeightsOption = Weights.raw,
    device: Device = "auto",
    json_file: JsonFile = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the tidy table to this file.")] = None,
    per_class: Annotated[
        Path | None, typer.Option("--per-class", help="Write values of each class to this CSV.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            "--bootstrap",
            min=2,
            help="Give each value an interval, from so many resamplings of the images.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", help="Share of the resamplings between the ends of an interval.")
    ] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of --bootstrap and --references.")] = 0,
    means_from: Annotated[
        Path | None,
        typer.Option(
            "--means-from",
            help="Feature file of another split: class means come from it, NC1 and NC4 judge these features.",
        ),
    ] = None,
    ood: Annotated[
        Path | None,
        typer.Option("--ood", help="Feature file of images from outside the classes, same layers: adds NC5."),
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="Also show what random features and perfect collapse would give.")
    ] = False,
) -> None:
    """Measure neural collapse: NC1 to NC4 for all classes and by group (head / medium / tail).

    A checkpoint is run over its training images, in eval mode, each image once. What a number means:
    nctools explain nc1_pinv

    Example: nctools measure runs/mlc_nc/checkpoints/last.pt --dataset digits_lt
    """
    for target in (json_file, csv_file, per_class):
        refuse_to_overwrite(target, force=force)
    import nctools

    chosen = _metrics(metrics, every_layer=depth_eps is not None, held_out=means_from is not None)
    settings: Settings = {
        "centre": _choice(centre),
        "weighting": _choice(weighting),
        "scope": "global" if scope is Scope.across else "within",
        "convention": None if convention is None else convention.value,
        "ddof": 1 if ddof else 0,
        "pairs": "any" if pairs is Ends.anywhere else "within",
        "precision": precision.value,
        "min_count": min_count,
        "multiplicity": multiplicity,
        "sample_pairs": sample_pairs,
        "max_memory": max_memory,
        "bootstrap": bootstrap,
        "confidence": confidence,
        "seed": seed,
        "references": ("random", "etf") if references else (),
    }
    if dry_run:
        for path in inputs:
            print_plans(path, chosen, space, settings)
        return
    results: list[CollapseResult] = []
    for path in inputs:
        if path.suffix in STORE_SUFFIXES and split is not None:
            say(f"note: {path} is a feature file, measured as it is: --split {split} is only its label in the table")
        with input_errors():
            result = nctools.measure(
                path,
                dataset=dataset,
                data_root=data_root,
                split=split,
                groups=_read_groups(groups) if groups else None,
                metrics=chosen,
                spaces=space,
                weights="raw" if weights is Weights.raw else "ema",
                device=device,
                progress=not quiet,
                means_from=means_from,
                ood_features=ood,
                **settings,
            )
        results.append(result)
    if json_file != "-":
        for path, result in zip(inputs, results, strict=True):
            print_result(result, title=str(path))
            print_depth(result, title=str(path), eps=depth_eps)
    _write_files(inputs, results, json_file=json_file, csv_file=csv_file, per_class=per_class)


def _metrics(text: str, *, every_layer: bool, held_out: bool) -> str | list[str]:
    # The main table leaves nc4_ncc_accuracy out where a classifier fits; the depth needs it in every layer. With means
    # of another split every preset holds it.
    from nctools.collapse.depth import ACCURACY

    if text in PRESETS and (text == "all" or held_out or not every_layer):
        return text
    listed = list(PRESETS[text]) if text in PRESETS else [name.strip() for name in text.split(",") if name.strip()]
    return [*listed, ACCURACY] if every_layer and ACCURACY not in listed else listed


def _write_files(
    inputs: Sequence[Path],
    results: Sequence[CollapseResult],
    *,
    json_file: str | None,
    csv_file: Path | None,
    per_class: Path | None,
) -> None:
    import pandas as pd

    from nctools.run_directory import replace_atomically

    if json_file is not None:
        document = {
            "schema": 1,
            "nctools": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": "measure",
            "inputs": [{"path": str(path), "sha256": _sha256(path)} for path in inputs],
            "results": [
                {"input": str(path), **result.to_document()} for path, result in zip(inputs, results, strict=True)
            ],
        }
        write_json(document, json_file)
    for target, attribute in ((csv_file, "table"), (per_class, "per_class")):
        if target is None:
            continue
        frames = [
            getattr(result, attribute).assign(input=str(path)) for path, result in zip(inputs, results, strict=True)
        ]
        with replace_atomically(target) as temporary:
            pd.concat(frames).to_csv(temporary, index=False, na_rep="nan")
        say(f"wrote {target}")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _choice(value: Averaged) -> Literal["class", "sample"]:
    return "class" if value is Averaged.by_class else "sample"


def _read_groups(path: Path) -> dict[str, list[int]]:
    import json

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NctoolsError(
            f"{path} cannot be read as a JSON file of groups ({' '.join(str(error).split())})"
        ) from error
    shaped = isinstance(document, dict) and all(
        isinstance(classes, list) and all(isinstance(index, int) for index in classes) for classes in document.values()
    )
    if not shaped:
        raise NctoolsError(
            f'{path} holds no groups: it should look like {{"head": [0, 1], "tail": [2]}} (class indices)'
        )
    groups: dict[str, list[int]] = document
    return groups
