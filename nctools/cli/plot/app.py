"""``nctools plot``: figures of runs, feature files and data sets, each with its data as CSV."""

from __future__ import annotations

import typer

from nctools.cli.plot import (
    ablation,
    angles,
    blocks,
    class_maps,
    cooccurrence,
    distribution,
    embedding,
    layers,
    logits,
    map_bars,
    nc_curves,
    per_class,
    spectrum,
)
from nctools.cli.plot.words import PlotCommand

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Draw figures; the data go beside each as CSV.")
app.command("nc-curves", cls=PlotCommand)(nc_curves.run)
app.command("angles", cls=PlotCommand)(angles.run)
app.command("attention", cls=PlotCommand, short_help="Attention maps of class-wise heads over images.")(class_maps.run)
app.command("cam", cls=PlotCommand, short_help="Class activation maps over images.")(class_maps.run)
app.command("gradcam", cls=PlotCommand, short_help="Grad-CAM and its relatives over images.")(class_maps.run)
app.command("embedding", cls=PlotCommand)(embedding.run)
app.command("layers", cls=PlotCommand)(layers.run)
app.command("distribution", cls=PlotCommand)(distribution.run)
app.command("cooccurrence", cls=PlotCommand)(cooccurrence.run)
app.command("map-bars", cls=PlotCommand)(map_bars.run)
app.command("logits", cls=PlotCommand)(logits.run)
app.command("ablation", cls=PlotCommand)(ablation.run)
app.command("blocks", cls=PlotCommand)(blocks.run)
app.command("per-class", cls=PlotCommand)(per_class.run)
app.command("spectrum", cls=PlotCommand)(spectrum.run)
