"""``nctools convert``: files of other programs to safe, plain ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.memory import STORE_SUFFIXES
from nctools.cli.options import Force, Weights, WeightsOption
from nctools.cli.output import input_errors, refuse_to_overwrite, say


def run(
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="File of weights, or a folder with one; or features (.h5, .npz)."),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="File to write: .safetensors, .pt or .pth for weights; .npz, .safetensors or .h5 for features.",
        ),
    ],
    trust: Annotated[
        bool,
        typer.Option(
            "--i-trust-this-file", help="Run the code in the file, as torch.load did of old. It may do anything."
        ),
    ] = False,
    weights: WeightsOption = Weights.raw,
    force: Force = False,
) -> None:
    """Rewrite weights as tensors alone, which can be read without running code; or change the format of features.

    Features of other programs: an .npz with features [N, D] or [N, C, D] and labels [N] or [N, C], made into an .h5.

    Example: nctools convert last.ckpt model.safetensors

    Example: nctools convert train.h5 train.npz
    """
    refuse_to_overwrite(target, force=force)
    if source.suffix in STORE_SUFFIXES or target.suffix in STORE_SUFFIXES:
        convert_features(source, target)
        return
    convert_weight_file(source, target, weights=weights, trust=trust)


def convert_features(source: Path, target: Path) -> None:
    """Convert a feature file to arrays, or arrays to a feature file, and say what was written.

    Args:
        source: ``.h5``, or ``.npz`` / ``.safetensors``.
        target: The other of the two.
    """
    from nctools.features.exchange import export_store, import_arrays
    from nctools.features.store import FeatureStore

    with input_errors():
        if source.suffix in STORE_SUFFIXES:
            with FeatureStore(source) as store:
                export_store(store, target, overwrite=True)
            sys.stdout.write(f"{target}\n")
            return
        with import_arrays(source, target, overwrite=True) as store:
            sys.stdout.write(f"{target}\n{store!r}\n")


def convert_weight_file(source: Path, target: Path, *, weights: Weights, trust: bool) -> None:
    """Convert weights and say what was done.

    Args:
        source: File of weights.
        target: File to write.
        weights: Raw or averaged.
        trust: Run the code in the file.
    """
    from nctools.networks.conversion import convert_weights

    if trust:
        say(f"running the code in {source}, as --i-trust-this-file asks: it can do whatever you can do")
    file, count = convert_weights(source, target, weights="raw" if weights is Weights.raw else "ema", trust=trust)
    if file.kind == "nctools":
        say(f"{target} holds the tensors alone: method, classes and preprocessing stay in {source}")
    say(f"read {file.about}")
    sys.stdout.write(f"{target}: {count} tensors\n")
