"""An interactive page of an embedding: one HTML file that needs no network."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nctools.errors import MissingExtraError
from nctools.figures.drawing import Drawing
from nctools.run_directory import replace_atomically

if TYPE_CHECKING:
    import pandas as pd

_LOOKS: Final[dict[str, dict[str, object]]] = {
    "point": {"size": 4, "opacity": 0.6},
    "mean": {"size": 11, "line": {"width": 1, "color": "#262626"}},
    "etf": {"size": 9, "symbol": "x-thin", "line": {"width": 2}},
}
_WORDS: Final = {"point": "", "mean": " class mean", "etf": " vertex of the nearest ETF"}


def load_plotly() -> tuple[Any, Any]:
    """Import plotly, before anything takes time.

    Returns:
        ``plotly.graph_objects`` and ``plotly.subplots``.

    Raises:
        MissingExtraError: If it is not installed.
        ModuleNotFoundError: If something that it needs is not.
    """
    try:
        from plotly import graph_objects, subplots
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "plotly":
            raise
        raise MissingExtraError("an interactive page", "plotly", "html") from error
    return graph_objects, subplots


def save_embedding_page(drawing: Drawing, path: str | os.PathLike[str]) -> Path:
    """Write an embedding as a page: hovering over a point tells its image and labels.

    The script of plotly (about 5 MB) lies in the file, which opens without a network. Names of classes and images are
    shown as they are, whatever they hold.

    Args:
        drawing: What ``embedding_of`` returned.
        path: File to write, ``.html``.

    Returns:
        The path.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    target = Path(path)
    text = _page(drawing.data)
    with replace_atomically(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _page(data: pd.DataFrame) -> str:
    from nctools.plots import group_colours

    graph, subplots = load_plotly()
    runs, colours = list(dict.fromkeys(data["run"])), group_colours(str(name) for name in data["group"] if name)
    figure = subplots.make_subplots(
        rows=1, cols=len(runs), subplot_titles=[html.escape(run) for run in runs], horizontal_spacing=0.05
    )
    told: set[str] = set()
    for key, rows in data.groupby(["run", "kind", "group"], sort=False):
        run, kind, group = (str(part) for part in key)
        name = html.escape(f"{group or 'no group'}{_WORDS[kind]}")
        colour = colours.get(group, "#b0b0b0")
        look = dict(_LOOKS[kind]) | {"color": colour}
        if kind == "etf":
            look["line"] = {"width": 2, "color": colour}
        figure.add_trace(
            graph.Scatter(
                x=rows["x"].tolist(),
                y=rows["y"].tolist(),
                mode="markers",
                marker=look,
                name=name,
                legendgroup=name,
                showlegend=name not in told,
                hovertext=[_hover(row) for row in rows.to_dict("records")],
                hoverinfo="text",
            ),
            row=1,
            col=1 + runs.index(run),
        )
        told.add(name)
    for column in range(1, len(runs) + 1):
        x = "x" if column == 1 else f"x{column}"
        figure.update_yaxes(scaleanchor=x, scaleratio=1, row=1, col=column)
    figure.update_layout(template="plotly_white", height=720, margin={"l": 40, "r": 20, "t": 50, "b": 40})
    page: str = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False, "responsive": True})
    # A phone takes the page as wide as it is; some versions of plotly write no doctype.
    head = '<title>Embedding</title><meta name="viewport" content="width=device-width, initial-scale=1">'
    body = page[page.index("<html>") + len("<html>") :].replace("<head>", f"<head>{head}", 1)
    return f'<!DOCTYPE html>\n<html lang="en">{body}\n'


def _hover(row: dict[Any, Any]) -> str:
    lines = [f"<b>{html.escape(str(row['class']))}</b>{_WORDS[row['kind']]}"]
    if row["image"]:
        lines.append(f"image {html.escape(str(row['image']))}")
    if row["labels"]:
        lines.append(f"labels: {html.escape(str(row['labels']))}")
    return "<br>".join(lines)
