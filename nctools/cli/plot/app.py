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

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Draw figures; the data go beside each as CSV.")
app.command("nc-curves")(nc_curves.run)
app.command("angles")(angles.run)
app.command("attention", short_help="Attention maps of class-wise heads over images.")(class_maps.run)
app.command("cam", short_help="Class activation maps over images.")(class_maps.run)
app.command("gradcam", short_help="Grad-CAM and its relatives over images.")(class_maps.run)
app.command("embedding")(embedding.run)
app.command("layers")(layers.run)
app.command("distribution")(distribution.run)
app.command("cooccurrence")(cooccurrence.run)
app.command("map-bars")(map_bars.run)
app.command("logits")(logits.run)
app.command("ablation")(ablation.run)
app.command("blocks")(blocks.run)
app.command("per-class")(per_class.run)
app.command("spectrum")(spectrum.run)
