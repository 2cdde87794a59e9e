"""``nctools plot layers``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nctools.cli.options import Force
from nctools.cli.plot.output import Formats, LayersOut, Look, StyleOption, draw_to, figure_target


class LayerKind(StrEnum):
    """How values over layers are drawn."""

    map = "map"
    lines = "lines"


def run(
    file: Annotated[Path, typer.Argument(help="Result of nctools measure (.json, .csv) or feature file (.h5).")],
    out: LayersOut = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Metric ids, a panel each. [default: NC1, CDNV, ETF error, NCC accuracy]"),
    ] = None,
    kind: Annotated[
        LayerKind, typer.Option("--kind", help="map: layers x groups with numbers; lines: a line for each group.")
    ] = LayerKind.map,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw metrics over the layers of a network, first layer on top, for all classes and by group.

    Example: nctools plot layers features.h5 -o layers.png --metrics nc1_pinv,nc4_ncc_accuracy
    """
    from nctools.figures import layers_of

    chosen = [name.strip() for name in metrics.split(",")] if metrics else None
    draw_to(
        figure_target(out, "layers.png", formats),
        lambda: layers_of(file, metrics=chosen, lines=kind is LayerKind.lines),
        formats=formats,
        force=force,
        style=style,
    )
