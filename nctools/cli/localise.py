"""``nctools localise``: the maps of the true labels against their boxes, by group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from nctools.localisation_result import Localisation


def run(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Run directory or file of weights.", show_default=False)
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="attention, cam, gradcam, gradcam++, smoothgradcam++, xgradcam or layercam."),
    ] = "attention",
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

    Example: nctools localise runs/mlc_nc --method gradcam
    """
    from nctools.localisation import localise

    for target in (json_file, csv_file):
        refuse_to_overwrite(target, force=force)
    options = forward_options(context.params)
    with input_errors():
        found = localise(
            path,
            method=method,
            layer=layer,
            split=split,
            max_images=max_images,
            tolerance=tolerance,
            progress=not quiet,
            **options,
        )
    if json_file is not None:
        write_json({"schema": 1, "command": "localise", **found.to_document()}, json_file)
    if csv_file is not None:
        found.save(csv_file)
        say(f"wrote {csv_file}")
    if json_file != "-":
        _print(found)


def _print(found: Localisation) -> None:
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
        f"{facts['method']} maps on {facts['dataset']} {facts['split']}  (%)",
        ["group", "classes", "energy in box ↑", "chance", "pointing game ↑", "chance"],
        rows,
        caption=f"{rounds}; maximum at most {facts['tolerance']:g} px outside",
    )
    if facts["num_empty"]:
        say(f"note: {facts['num_empty']} maps have nothing positive and count as uniform: at the level of chance")


def _percent(value: float) -> str:
    return "n/a" if value != value else f"{100 * value:.1f}"
