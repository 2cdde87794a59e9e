"""The NC table of a terminal: values by group, intervals, references, effective depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nctools.cli.output import number, number_in_interval, print_table, say

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult

_REFERENCES = {"random": "random", "etf": "collapsed"}


def print_result(result: CollapseResult, *, title: str) -> None:
    """Print the NC table of each space, values by group, and the warnings (on stderr).

    Args:
        result: What ``nctools.measure`` returned.
        title: What was measured.
    """
    for space in result.spaces:
        part = result.space(space)
        table = part.table
        groups = list(dict.fromkeys(table["group"]))
        values = table.set_index(["metric", "group"])
        headings = []
        for group in groups:
            row = table[table["group"] == group].iloc[0]
            headings.append(f"{group}\nC={row['num_classes']}, n {_count(row['n_min'])}..{_count(row['n_max'])}")
        rows = []
        for metric in dict.fromkeys(table["metric"]):
            cells = [number_in_interval(*values.loc[(metric, group), ["value", "low", "high"]]) for group in groups]
            cells += [number(_without_dust(found["all"].get(metric))) for found in part.references.values()]
            rows.append([str(metric), *cells, str(part.definitions[metric]["direction"])])
        split = str(table["split"].iloc[0])
        print_table(
            f"{title}  space: {space}" + (f"  split: {split}" if split else ""),
            ["metric", *headings, *(f"all, if\n{_REFERENCES[name]}" for name in part.references), "collapse"],
            rows,
            caption=_interval_caption(part.settings),
        )
        for warning in part.warnings:
            say(f"note ({space}): {warning}")


def _without_dust(value: float | None) -> float | None:
    # What rounding leaves of 0 at perfect collapse.
    return 0.0 if value is not None and abs(value) < 1e-12 else value


def print_depth(result: CollapseResult, *, title: str, eps: float | None) -> None:
    """Print the effective depth of each group, if the result has several layers of one kind that it can be read from.

    Args:
        result: What ``nctools.measure`` returned.
        title: What was measured.
        eps: Share of pairs whose nearest class mean may be wrong; None takes the usual one, and says nothing where
            there is no depth.
    """
    from nctools.collapse.depth import EPS

    used = EPS if eps is None else eps
    try:
        if len(result.spaces) < 2:
            raise ValueError("the effective depth needs two layers or more: extract several, in their order")
        depths = result.effective_depth(used)
    except ValueError as error:
        if eps is not None:
            say(f"note: {error}")
        return
    layers = result.spaces
    rows = [
        [group, "none" if layer is None else f"{layers.index(layer) + 1} of {len(layers)}", layer or "-"]
        for group, layer in depths.items()
    ]
    print_table(
        f"{title}  effective depth (eps {used:g})",
        ["group", "depth", "layer"],
        rows,
        caption=f"  first layer from which on 1 - nc4_ncc_accuracy <= eps; layers in this order: {', '.join(layers)}",
    )


def _interval_caption(settings: Mapping[str, object]) -> str:
    if "bootstrap" not in settings:
        return ""
    share = float(str(settings["confidence"]))
    return f"[low, high]: basic {share:.0%} interval from {settings['bootstrap']} bootstrap replicates over images"


def _count(value: float) -> str:
    return "0" if value != value else str(int(value))
