"""``nctools extract``: features of a model to HDF5."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.forward import forward_options, parse_layers
from nctools.cli.memory import STORE_SUFFIXES
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
    Layers,
    ListLayers,
    Maps,
    MapsOption,
    Mean,
    Model,
    ModelArgs,
    PrefixTokens,
    Quiet,
    Std,
    Tokens,
    TokensOption,
    Weights,
    WeightsOption,
    Workers,
)
from nctools.cli.output import another_place, input_errors, print_wide, refuse_to_overwrite
from nctools.cli.ranks import joined_ranks

if TYPE_CHECKING:
    from nctools.forward_options import ForwardOptions


class Pairs(StrEnum):
    """Which class-wise features are stored."""

    positive = "positive"
    all = "all"


class Dtype(StrEnum):
    """Number format of the stored features."""

    float32 = "float32"
    float16 = "float16"


class Compression(StrEnum):
    """Compression of the stored features."""

    zstd = "zstd"
    blosc = "blosc"
    gzip = "gzip"
    lzf = "lzf"


def run(
    context: typer.Context,
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="File of weights (.pt, .ckpt, .safetensors), for example RUN/checkpoints/last.pt."),
    ] = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[str | None, typer.Option("--split", help="train, validation or test. [default: train]")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="HDF5 file. Default: RUN/features/SPLIT.h5, or beside the checkpoint.")
    ] = None,
    model: Model = None,
    model_args: ModelArgs = None,
    layers: Layers = None,
    maps: MapsOption = Maps.refuse,
    tokens: TokensOption = Tokens.refuse,
    prefix_tokens: PrefixTokens = None,
    list_layers: ListLayers = False,
    weights: WeightsOption = Weights.raw,
    pairs: Annotated[
        Pairs, typer.Option("--pairs", help="Class-wise layers: positive pairs, or all.")
    ] = Pairs.positive,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Number format of the features.")] = Dtype.float32,
    compression: Annotated[
        Compression | None,
        typer.Option("--compression", help="Of the features: rarely worth its time. zstd, blosc need hdf5plugin."),
    ] = None,
    shard_size: Annotated[
        int, typer.Option("--shard-size", min=1, help="Images after which what is done is safe on disk.")
    ] = 1024,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted extraction of the same model and data.")
    ] = False,
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
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Run a model over a data set, each image once, and stream its features to one HDF5 file.

    Any PyTorch model works: a checkpoint of nctools as it is, other weights with --model. The classifier and the
    features that it reads are found by a trial pass; --list-layers shows what else there is.

    An interrupted extraction keeps what is done in OUT.parts/; the same command with --resume goes on. Under torchrun
    each process takes its part of the images.

    Example: nctools extract runs/mlc_nc/checkpoints/last.pt --split test --out test.h5

    Example: nctools extract weights.pth --model timm:resnet50 --data photos/ --split val --out val.h5
    """
    options = forward_options(context.params)
    if list_layers:
        _print_layers(checkpoint, split, options)
        return
    from nctools.checkpoints import extract_checkpoint

    target = out or default_target(checkpoint, split or "train")
    if target.suffix not in STORE_SUFFIXES:
        raise typer.BadParameter(
            f"--out {target}: features go to an HDF5 file, name it .h5 (nctools convert makes others)"
        )
    if not resume:
        refuse_to_overwrite(target, force=force)
    kept: Literal["positive", "all"] = "positive" if pairs is Pairs.positive else "all"
    with (
        joined_ranks() as rank,
        input_errors(),
        another_place(target),
        extract_checkpoint(
            checkpoint,
            target,
            split=split,
            layers=parse_layers(layers) if layers else None,
            pairs=kept,
            maps=maps.value,
            tokens=tokens.value,
            prefix_tokens=prefix_tokens,
            dtype="float32" if dtype is Dtype.float32 else "float16",
            compression=None if compression is None else compression.value,
            shard_size=shard_size,
            resume=resume,
            progress=not quiet and rank == 0,
            overwrite=force,
            **options,
        ) as store,
    ):
        if rank == 0:
            sys.stdout.write(f"{target}\n{store!r}\n")


def default_target(checkpoint: Path | None, split: str) -> Path:
    """Name the feature file of a checkpoint.

    Args:
        checkpoint: Path of the checkpoint; None for a model without a file.
        split: Name of the split.

    Returns:
        ``RUN/features/SPLIT.h5`` for a checkpoint in ``RUN/checkpoints``, else ``SPLIT.h5`` beside it, or here.
    """
    if checkpoint is None:
        return Path(f"{split}.h5")
    folder = checkpoint.parent
    return folder.parent / "features" / f"{split}.h5" if folder.name == "checkpoints" else folder / f"{split}.h5"


def _print_layers(checkpoint: Path | None, split: str | None, options: ForwardOptions) -> None:
    from nctools.checkpoints import layers_of

    with input_errors():
        rows = layers_of(checkpoint, split=split, **options)
    print_wide(
        f"{checkpoint or options.get('model')}: layers in running order, two images",
        ["layer", "type", "input", "output", "calls", "parameters"],
        [[row.name, row.type_name, row.inputs, row.output, str(row.calls), str(row.parameters)] for row in rows],
        caption="  read one with --layers NAME=LAYER:input or :output; maps need --maps, tokens --tokens",
    )
