"""Options that several commands share, so that a flag means the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

_MODEL: Final = "Any model"
_DATA: Final = "Own data"
_SPEED: Final = "Forward pass"


class Weights(StrEnum):
    """Which weights of a checkpoint are used."""

    raw = "raw"
    ema = "ema"


class Maps(StrEnum):
    """What becomes of convolutional maps."""

    refuse = "refuse"
    mean = "mean"
    flatten = "flatten"


class Tokens(StrEnum):
    """What becomes of the tokens of a transformer."""

    refuse = "refuse"
    class_token = "class"
    patches = "patches"
    mean = "mean"


class Autocast(StrEnum):
    """Number format of the forward pass."""

    bfloat16 = "bfloat16"
    float16 = "float16"


CheckpointDataset = Annotated[
    str | None,
    typer.Option("--dataset", help="Data set by name (nctools data list). Default: the one it was trained on."),
]
DataRoot = Annotated[
    str | None,
    typer.Option(
        "--data-root",
        help="Folder of the data set, or of the images that a table names. Default: what the checkpoint says; of sets "
        "with a name, $NCTOOLS_DATA_ROOT.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_SPEED)]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are already there.")]
JsonFile = Annotated[
    str | None, typer.Option("--json", help="Write one JSON document to this file; - prints it instead of the table.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
WeightsOption = Annotated[Weights, typer.Option("--weights", help="Raw or averaged weights of the checkpoint.")]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Architecture of a file of weights: timm:resnet50, torchvision:resnet18, or package.module:factory of "
        "your own. Checkpoints of nctools need none. Without a file the model is run as it is built.",
        rich_help_panel=_MODEL,
    ),
]
ModelArgs = Annotated[
    str | None,
    typer.Option(
        "--model-args",
        help="Arguments of --model: num_classes=10,width=64 or a JSON object.",
        rich_help_panel=_MODEL,
    ),
]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        help="NAME=MODULE:input,... in the order of the forward pass; NAME= may be left out. Default: the spaces of "
        "the method, or the input of the classifier. Example: stem=conv1:output,last=fc:input (with --maps mean)",
        rich_help_panel=_MODEL,
    ),
]
MapsOption = Annotated[
    Maps,
    typer.Option(
        "--maps", help="Convolutional maps: mean over their places, flatten, or refuse.", rich_help_panel=_MODEL
    ),
]
TokensOption = Annotated[
    Tokens,
    typer.Option(
        "--tokens",
        help="Token layers [B, T, D]: the class token, the mean of the patches, the mean of all, or refuse.",
        rich_help_panel=_MODEL,
    ),
]
PrefixTokens = Annotated[
    int | None,
    typer.Option(
        "--prefix-tokens",
        min=0,
        help="Class and register tokens before the patches. Default: what the model says, else what the number of "
        "tokens tells.",
        rich_help_panel=_MODEL,
    ),
]
ListLayers = Annotated[
    bool,
    typer.Option(
        "--list-layers", help="Only list the layers with their shapes, in running order.", rich_help_panel=_MODEL
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Your own data instead of --dataset: a folder of images (one folder per class, or annotations of "
        "VOC or COCO), a CSV or JSON file of labels, or package.module:factory that returns a DataLoader.",
        rich_help_panel=_DATA,
    ),
]
DataArgs = Annotated[
    str | None,
    typer.Option("--data-args", help="Arguments of the factory of --data, as --model-args.", rich_help_panel=_DATA),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=1,
        help="Images are resized and cropped to a square of so many pixels. Default: what the model says, else 224.",
        rich_help_panel=_DATA,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option("--mean", help="Mean of each channel of pixels in [0, 1]: 0.5,0.5,0.5", rich_help_panel=_DATA),
]
Std = Annotated[str | None, typer.Option("--std", help="Deviation of each channel.", rich_help_panel=_DATA)]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images per forward pass.", rich_help_panel=_SPEED)]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that load images.", rich_help_panel=_SPEED)]
AutocastOption = Annotated[
    Autocast | None,
    typer.Option("--autocast", help="Run the model in half precision.", rich_help_panel=_SPEED),
]
ChannelsLast = Annotated[
    bool,
    typer.Option("--channels-last", help="Lay convolutions out channels last: mostly faster.", rich_help_panel=_SPEED),
]
Inputs = Annotated[
    list[Path] | None,
    typer.Argument(help="Files of weights (.pt, .ckpt, .safetensors) or of features (.h5, .npz), one or more."),
]
