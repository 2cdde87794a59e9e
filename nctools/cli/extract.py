"""``nctools extract``: features of a checkpoint to HDF5."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from nctools.cli.options import CheckpointDataset, DataRoot, Device, Force, Quiet, Weights, WeightsOption
from nctools.cli.output import input_errors, refuse_to_overwrite


class Pairs(StrEnum):
    """Which class-wise features are stored."""

    positive = "positive"
    all = "all"


class Maps(StrEnum):
    """What becomes of convolutional maps."""

    refuse = "refuse"
    mean = "mean"
    flatten = "flatten"


class Dtype(StrEnum):
    """Number format of the stored features."""

    float32 = "float32"
    float16 = "float16"


def run(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, for example RUN/checkpoints/last.pt.")],
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    out: Annotated[
        Path | None, typer.Option("--out", help="HDF5 file. Default: RUN/features/SPLIT.h5, or beside the checkpoint.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            help="name=module:input,... in the order of the forward pass. Default: the method's spaces. Example: "
            "stem=backbone.body.stem:output,last=classifier:input (with --maps mean)",
        ),
    ] = None,
    pairs: Annotated[
        Pairs, typer.Option("--pairs", help="Class-wise layers: positive pairs, or all.")
    ] = Pairs.positive,
    maps: Annotated[
        Maps, typer.Option("--maps", help="Convolutional maps: mean over their places, flatten, or refuse.")
    ] = Maps.refuse,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Number format of the features.")] = Dtype.float32,
    weights: WeightsOption = Weights.raw,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images per forward pass.")] = 256,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Run a checkpoint over a data set, each image once, and stream its features to one HDF5 file.

    Example: nctools extract runs/mlc_nc/checkpoints/last.pt --split test --out test.h5
    """
    from nctools.checkpoints import extract_checkpoint

    target = out or default_target(checkpoint, split)
    refuse_to_overwrite(target, force=force)
    kept: Literal["positive", "all"] = "positive" if pairs is Pairs.positive else "all"
    with (
        input_errors(),
        extract_checkpoint(
            checkpoint,
            target,
            dataset=dataset,
            data_root=data_root,
            split=split,
            layers=parse_layers(layers) if layers else None,
            pairs=kept,
            maps=maps.value,
            dtype="float32" if dtype is Dtype.float32 else "float16",
            weights="raw" if weights is Weights.raw else "ema",
            device=device,
            batch_size=batch_size,
            progress=not quiet,
            overwrite=force,
        ) as store,
    ):
        sys.stdout.write(f"{target}\n{store!r}\n")


def default_target(checkpoint: Path, split: str) -> Path:
    """Name the feature file of a checkpoint.

    Args:
        checkpoint: Path of the checkpoint.
        split: Name of the split.

    Returns:
        ``RUN/features/SPLIT.h5`` for a checkpoint in ``RUN/checkpoints``, else ``SPLIT.h5`` beside it.
    """
    folder = checkpoint.parent
    return folder.parent / "features" / f"{split}.h5" if folder.name == "checkpoints" else folder / f"{split}.h5"


def parse_layers(text: str) -> dict[str, str]:
    """Read ``name=module:input,...``; without a name the module's path is the name.

    Args:
        text: What the user gave.

    Returns:
        Space name -> layer.

    Example:
        >>> parse_layers("pooled=classifier:input,backbone.stem")
        {'pooled': 'classifier:input', 'backbone.stem': 'backbone.stem'}
    """
    layers = {}
    for part in text.split(","):
        name, equals, layer = part.strip().partition("=")
        layers[name if equals else name.partition(":")[0]] = layer if equals else name
    return layers
