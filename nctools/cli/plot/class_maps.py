"""``nctools plot attention``, ``cam`` and ``gradcam``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.options import (
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
    Std,
    Weights,
    WeightsOption,
)
from nctools.cli.output import refuse_to_overwrite, say
from nctools.cli.plot.forward import image_options
from nctools.cli.plot.output import (
    Formats,
    Look,
    Out,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
)
from nctools.errors import ConfigError

_USUAL: Final = "4"
_WEIGHTS: Final = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".bin"})


class Scale(StrEnum):
    """Where the colours of a map end."""

    each = "map"
    common = "common"


MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="attention, cam, gradcam, gradcam++, smoothgradcam++, xgradcam or layercam. Default: what the command is "
        "called.",
    ),
]
LayerOption = Annotated[
    str | None,
    typer.Option("--layer", help="Module of the maps, such as backbone.layer4. Default: where the method takes them."),
]


def run(
    context: typer.Context,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Run directories or checkpoints, compared on the same images. Default: the newest run.",
        ),
    ] = None,
    out: Out = None,
    method: MethodOption = None,
    layer: LayerOption = None,
    images: Annotated[
        str,
        typer.Option(
            "--images", help="How many, or ids (test-0003,test-0017) or row numbers from 0 (3,17), separated by commas."
        ),
    ] = _USUAL,
    classes: Annotated[
        str,
        typer.Option(
            "--classes",
            help="top (true labels, then the highest scores, six in all), true, predicted, all, or names of classes or "
            "groups or class indices from 0, separated by commas.",
        ),
    ] = "top",
    split: Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: test]")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of images.")] = 0,
    scale: Annotated[
        Scale, typer.Option("--scale", help="Colours end at the maximum of each map, or of all (common).")
    ] = Scale.each,
    npz: Annotated[
        bool, typer.Option("--npz", help="Write the maps as they are beside the figure (.npz), one file for each run.")
    ] = False,
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
    device: Device = "auto",
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw class maps over images: true labels checked and framed, groups in their colours, scores below.

    All classes of one image (--images ID --classes all) are drawn by group.

    Example: nctools plot attention runs/mlc_nc runs/class_attention --images 4

    Example: nctools plot gradcam runs/erm --method layercam --classes true -o maps.png --npz

    Example: nctools plot gradcam weights.pth --model timm:resnet50 --data photos/ --image-size 224
    """
    from nctools.figures import class_maps_of
    from nctools.figures.class_maps import map_files

    options = image_options(context.params)
    chosen = chosen_inputs(inputs)
    _hint_at_commas(chosen, images)
    used = method or str(context.info_name)
    target = figure_target(out, default_target(chosen[0], f"{used}.png"), formats)
    files = map_files(target.with_suffix(".npz"), chosen) if npz else []
    for file in files:
        refuse_to_overwrite(file, force=force)
    draw_to(
        target,
        lambda: class_maps_of(
            chosen,
            method=used,
            layer=layer,
            images=_images(images),
            classes=_classes(classes),
            split=split,
            seed=seed,
            scale="common" if scale is Scale.common else "map",
            npz=target.with_suffix(".npz") if npz else None,
            **options,
        ),
        formats=formats,
        force=force,
        style=style,
    )
    for file in files:
        say(f"wrote {file}")


def _hint_at_commas(paths: list[Path], images: str) -> None:
    # --images a b: the second was taken for a run.
    for path in paths:
        if images != _USUAL and len(path.parts) == 1 and path.suffix not in _WEIGHTS and not path.exists():
            raise ConfigError(
                f"{path} does not exist: give a run directory or a checkpoint; if it is an image, commas separate "
                f"several: --images {images},{path}"
            )


def _images(text: str) -> int | list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    # Ids may be numbers, too: those of COCO have more digits than there are images in a figure.
    return int(text) if text.strip().isdecimal() and len(text.strip()) < 3 else names


def _classes(text: str) -> str | list[str]:
    return text if text in {"top", "true", "predicted", "all"} else [name.strip() for name in text.split(",")]
