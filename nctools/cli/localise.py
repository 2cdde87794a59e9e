"""``nctools localise``: the maps of the true labels against their boxes, by group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

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
    Weights,
    WeightsOption,
    Workers,
)
from nctools.cli.output import input_errors, print_table, refuse_to_overwrite, say, write_json
from nctools.cli.plot.class_maps import LayerOption
from nctools.errors import NctoolsError
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    from nctools.localisation_result import Localisation

_USUAL: Final = ("attention", "cam", "gradcam")


def run(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="Run directories or files of weights, a table each.", show_default=False
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="attention, cam, gradcam, gradcam++, smoothgradcam++, xgradcam or layercam. Default: the first of "
            "attention, cam and gradcam that all models have.",
        ),
    ] = None,
    layer: LayerOption = None,
    split: Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: test]")] = None,
    max_images: Annotated[
        int | None,
        typer.Option("--max-images", min=1, help="Take so many, evenly spread over the split. [default: all]"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Pixels that a maximum may lie outside of its box.")
    ] = 0.0,
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
    json_file: JsonFile = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table by group to this file.")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Measure class maps against boxes: the share inside (energy) and how often the maximum is (pointing game).

    Needs data with boxes: digits_lt, VOC, COCO, or your own in the form of VOC or COCO. Both are means over the images
    of each class, then over the classes of a group; beside each stands what a uniform map would give.

    Example: nctools localise runs/mlc_nc runs/erm --method gradcam
    """
    from nctools.localisation import localise

    for target in (json_file, csv_file):
        refuse_to_overwrite(target, force=force)
    given: list[Path | None] = list(paths or []) or [None]
    titles = [_title(path, paths or []) for path in given]
    options = forward_options(context.params)

    def found_by(name: str) -> list[Localisation]:
        return [
            localise(
                path,
                method=name,
                layer=layer,
                split=split,
                max_images=max_images,
                tolerance=tolerance,
                progress=not quiet,
                **options,
            )
            for path in given
        ]

    with input_errors():
        found = _by_first_that_fits(found_by) if method is None else found_by(method)
    _write(found, titles, json_file, csv_file)
    if json_file != "-":
        for one, title in zip(found, titles, strict=True):
            _print(one, title if len(found) > 1 else "")


def _title(path: Path | None, paths: list[Path]) -> str:
    from nctools.figures.sources import short_title

    return "" if path is None else short_title(path, paths)


def _by_first_that_fits(found_by: Callable[[str], list[Localisation]]) -> list[Localisation]:
    # One method for all runs: numbers of different kinds of maps cannot be compared.
    *first, last = _USUAL
    for method in first:
        try:
            found = found_by(method)
        except NctoolsError:
            raise
        except ValueError as error:
            say(f"note: no {method} maps ({' '.join(str(error).split()).partition(': ')[0]})")
        else:
            say(f"note: {method} maps are taken: --method chooses others")
            return found
    say(f"note: {last} maps are taken: --method chooses others")
    return found_by(last)


def _write(found: list[Localisation], titles: list[str], json_file: str | None, csv_file: Path | None) -> None:
    import pandas as pd

    if json_file is not None:
        documents = [{"run": title, **one.to_document()} for one, title in zip(found, titles, strict=True)]
        whole = documents[0] if len(documents) == 1 else {"runs": documents}
        write_json({"schema": 1, "command": "localise", **whole}, json_file)
    if csv_file is not None:
        tables = [one.table.assign(run=title) for one, title in zip(found, titles, strict=True)]
        whole_table = pd.concat(tables, ignore_index=True)
        whole_table.insert(0, "run", whole_table.pop("run"))
        with replace_atomically(csv_file) as temporary:
            whole_table.to_csv(temporary, index=False)
        say(f"wrote {csv_file}")


def _print(found: Localisation, run: str) -> None:
    facts, wide = found.facts, found.table.pivot(index="group", columns="measure", values=["value", "chance"])
    numbers = found.table.drop_duplicates("group").set_index("group")
    rows = [
        [
            group,
            str(numbers.loc[group, "num_classes"]),
            *(
                _percent(wide.loc[group, (kind, measure)])
                for measure in ("energy", "pointing")
                for kind in ("value", "chance")
            ),
        ]
        for group in numbers.index
    ]
    rounds = f"{facts['num_pairs']} labels with boxes in {facts['num_images']} images"
    print_table(
        f"{run}{': ' if run else ''}{facts['method']} maps on {facts['dataset']} {facts['split']}  (%)",
        ["group", "classes", "energy in box ↑", "chance", "pointing game ↑", "chance"],
        rows,
        caption=f"{rounds}; maximum at most {facts['tolerance']:g} px outside",
    )
    if facts["num_empty"]:
        say(f"note: {facts['num_empty']} maps have nothing positive and count as uniform: at the level of chance")


def _percent(value: float) -> str:
    return "n/a" if value != value else f"{100 * value:.1f}"
