"""Options that several commands share, so that a flag means the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Weights(StrEnum):
    """Which weights of a checkpoint are used."""

    raw = "raw"
    ema = "ema"


CheckpointDataset = Annotated[
    str | None, typer.Option("--dataset", help="Data set. Default: the one the checkpoint was trained on.")
]
DataRoot = Annotated[str | None, typer.Option("--data-root", help="Folder of the data set, if it needs one.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are already there.")]
JsonFile = Annotated[
    str | None, typer.Option("--json", help="Write one JSON document to this file; - prints it instead of the table.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
WeightsOption = Annotated[Weights, typer.Option("--weights", help="Raw or averaged weights of the checkpoint.")]
