"""``nctools measure``: the NC table by group, of checkpoints or feature files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools import __version__
from nctools.cli.options import CheckpointDataset, DataRoot, Device, Force, JsonFile, Quiet, Weights, WeightsOption
from nctools.cli.output import input_errors, number, print_table, refuse_to_overwrite, say, write_json
from nctools.collapse.catalogue import PRESETS
from nctools.errors import NctoolsError

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult


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
        Averaged, typer.Option("--centre", help="Global mean over class means or samples.")
    ] = Averaged.by_class,
    weighting: Annotated[
        Averaged, typer.Option("--weighting", help="NC1, NC4: mean over classes or samples.")
    ] = Averaged.by_class,
    scope: Annotated[
        Scope, typer.Option("--scope", help="Frame of a group: all classes, or the group alone.")
    ] = Scope.across,
    convention: Annotated[
        Convention | None, typer.Option("--convention", help="Settings of a published code, for comparison.")
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
) -> None:
    """Measure neural collapse: NC1 to NC4 for all classes and by group (head / medium / tail).

    A checkpoint is run over its training images, in eval mode, each image once. What a number means:
    nctools explain nc1_pinv

    Example: nctools measure runs/mlc_nc/checkpoints/last.pt --dataset digits_lt
    """
    for target in (json_file, csv_file, per_class):
        refuse_to_overwrite(target, force=force)
    import nctools

    chosen = metrics if metrics in PRESETS else [name.strip() for name in metrics.split(",")]

    results: list[CollapseResult] = []
    for path in inputs:
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
                centre=_choice(centre),
                weighting=_choice(weighting),
                scope="global" if scope is Scope.across else "within",
                convention=None if convention is None else convention.value,
            )
        results.append(result)
    if json_file != "-":
        for path, result in zip(inputs, results, strict=True):
            print_result(result, title=str(path))
    _write_files(inputs, results, json_file=json_file, csv_file=csv_file, per_class=per_class)


def print_result(result: CollapseResult, *, title: str) -> None:
    """Print the NC table of each space, values by group, and the warnings (on stderr).

    Args:
        result: What ``nctools.measure`` returned.
        title: What was measured.
    """
    for space in result.spaces:
        part = result.space(space)
        table = part.table
        groups = list(dict.fromkeys(table["group"]))
        values = table.set_index(["metric", "group"])
        headings = []
        for group in groups:
            row = table[table["group"] == group].iloc[0]
            headings.append(f"{group}\nC={row['num_classes']}, n {_count(row['n_min'])}..{_count(row['n_max'])}")
        rows = []
        for metric in dict.fromkeys(table["metric"]):
            cells = [number(float(values.loc[(metric, group), "value"])) for group in groups]
            rows.append([str(metric), *cells, str(part.definitions[metric]["direction"])])
        split = str(table["split"].iloc[0])
        print_table(
            f"{title}  space: {space}" + (f"  split: {split}" if split else ""), ["metric", *headings, "collapse"], rows
        )
        for warning in part.warnings:
            say(f"note ({space}): {warning}")


def _count(value: float) -> str:
    return "0" if value != value else str(int(value))


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
            pd.concat(frames).to_csv(temporary, index=False)
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
