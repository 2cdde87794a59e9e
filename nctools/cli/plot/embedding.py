"""``nctools plot embedding``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools.cli.options import Force
from nctools.cli.output import input_errors, refuse_to_overwrite
from nctools.cli.plot.output import (
    Formats,
    Inputs,
    Look,
    Out,
    SpaceOption,
    StyleOption,
    chosen_inputs,
    default_target,
    draw_to,
    figure_target,
)

if TYPE_CHECKING:
    from nctools.figures.drawing import Drawing


class Projection(StrEnum):
    """How features are brought to two dimensions."""

    pca = "pca"
    umap = "umap"


class ColourBy(StrEnum):
    """What colours stand for."""

    group = "group"
    by_class = "class"


class Fit(StrEnum):
    """Which epochs the common projection is fitted to."""

    last = "last"
    all = "all"


class Distance(StrEnum):
    """How far features are from each other."""

    euclidean = "euclidean"
    cosine = "cosine"


def run(
    inputs: Inputs = None,
    out: Out = None,
    space: SpaceOption = None,
    method: Annotated[
        Projection, typer.Option("--method", help="pca: at once; umap: half a minute, then kept beside the features.")
    ] = Projection.pca,
    by: Annotated[
        ColourBy, typer.Option("--by", help="Colours for groups, or for classes (up to 20); of an image's rarest one.")
    ] = ColourBy.group,
    epochs: Annotated[
        str | None,
        typer.Option("--epochs", help="Kept checkpoints of one run in a common projection: 10,30,60, or all."),
    ] = None,
    fit: Annotated[
        Fit, typer.Option("--fit", help="Of the common projection: to the last of the epochs, or to all together.")
    ] = Fit.last,
    max_points: Annotated[
        int, typer.Option("--max-points", min=2, help="Most points of a panel, chosen by class so that rare ones stay.")
    ] = 6000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the choice of points and of UMAP.")] = 0,
    neighbours: Annotated[int, typer.Option("--neighbours", min=2, help="Of UMAP.")] = 15,
    min_dist: Annotated[float, typer.Option("--min-dist", min=0.0, max=1.0, help="Of UMAP.")] = 0.1,
    metric: Annotated[
        Distance, typer.Option("--metric", help="cosine: features are scaled to length 1 first.")
    ] = Distance.euclidean,
    etf: Annotated[
        bool | None,
        typer.Option(
            "--etf/--no-etf", help="Vertices of the nearest ETF, as crosses. Default: with pca, not with umap."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also an interactive page: hover tells image and labels.")
    ] = None,
    formats: Formats = None,
    style: StyleOption = Look.screen,
    force: Force = False,
) -> None:
    """Draw features in two dimensions, with class means and the vertices of the nearest ETF.

    Where an image has one feature for all of its classes, a point is an image in the colour of its rarest class, while
    means are over all images of a class: a frequent class may have its mean outside of its points.

    Example: nctools plot embedding runs/mlc_nc runs/erm --method umap --html embedding.html
    """
    from nctools.figures import embedding_of
    from nctools.figures.embedding_page import load_plotly, save_embedding_page

    refuse_to_overwrite(html, force=force)
    if html is not None:
        load_plotly()
    chosen = chosen_inputs(inputs)
    wanted = _epochs(epochs)
    name = f"embedding-{method.value}{'' if wanted is None else '-epochs'}.png"
    drawn: list[Drawing] = []

    def draw() -> Drawing:
        drawn.append(
            embedding_of(
                chosen,
                space=space,
                method=method.value,
                by=by.value,
                seed=seed,
                max_points=max_points,
                epochs=wanted,
                fit=fit.value,
                etf=etf,
                progress=True,
                n_neighbours=neighbours,
                min_dist=min_dist,
                metric=metric.value,
            )
        )
        return drawn[0]

    target = figure_target(out, default_target(chosen[0], name), formats)
    draw_to(target, draw, formats=formats, force=force, style=style)
    if html is not None:
        with input_errors():
            sys.stdout.write(f"{save_embedding_page(drawn[0], html)}\n")


def _epochs(text: str | None) -> list[int] | Literal["all"] | None:
    if text is None or text.strip() == "all":
        return None if text is None else "all"
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of epochs: give numbers such as 10,30,60, or all") from None
