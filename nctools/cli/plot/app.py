"""``nctools plot``: figures of runs, feature files and data sets, each with its data as CSV."""

from __future__ import annotations

import typer

from nctools.cli.plot import angles, blocks, cooccurrence, distribution, layers, nc_curves, per_class, spectrum

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Draw figures; the data go beside each as CSV.")
app.command("nc-curves")(nc_curves.run)
app.command("angles")(angles.run)
app.command("layers")(layers.run)
app.command("distribution")(distribution.run)
app.command("cooccurrence")(cooccurrence.run)
app.command("blocks")(blocks.run)
app.command("per-class")(per_class.run)
app.command("spectrum")(spectrum.run)
