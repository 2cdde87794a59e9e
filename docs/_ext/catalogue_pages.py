"""Writes the pages that follow from the package's own tables: metrics, methods, data sets, public names.

They land in ``docs/_generated/`` at each build, so the site cannot tell of a metric that is not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import nctools
from nctools.cli.app import app
from nctools.collapse.catalogue import METRICS, PRESETS
from nctools.data.catalogue import DATASETS
from nctools.methods.catalogue import METHODS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FAMILIES = {
    "nc0": "NC0: the classifier's rows sum to zero",
    "nc1": "NC1: spread within classes",
    "nc2": "NC2: the class means form a simplex",
    "nc3": "NC3: classifier and class means agree",
    "nc4": "NC4: the nearest class mean decides",
    "nc5": "NC5: other data is orthogonal",
    "mlab": "Several labels in one image",
    "": "Imbalance and the rest",
}


def family(metric_id: str) -> str:
    """The key in ``FAMILIES`` of a metric."""
    start = metric_id.partition("_")[0]
    return start[:3] if start[:3] in FAMILIES else start if start in FAMILIES else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def plain(value: object) -> str:
    """A value of the catalogue as words: several separated by commas, none as a dash."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in {None, ""} else str(value)


def metric_section(metric_id: str) -> str:
    """The entry of one metric: heading, formula, facts."""
    metric = METRICS[metric_id]
    facts = {
        "Source": metric.source,
        "At perfect collapse": metric.limit,
        "Read as": metric.direction,
        "Needs": metric.needs,
        "Group value": metric.aggregator,
        "Features": metric.kinds,
    }
    listed = "\n".join(f"- **{name}:** {plain(value)}" for name, value in facts.items())
    symbol = f", {metric.symbol}" if metric.symbol else ""
    return f"### `{metric_id}`\n\n{metric.title}{symbol}.\n\n```text\n{metric.formula}\n```\n\n{listed}\n"


def metrics_page() -> str:
    """All metrics by family, then the presets."""
    parts = []
    for key, title in FAMILIES.items():
        members = [metric_id for metric_id in METRICS if family(metric_id) == key]
        if members:
            parts += [f"## {title}", *map(metric_section, members)]
    presets = ((f"`{name}`", ", ".join(f"`{metric}`" for metric in members)) for name, members in PRESETS.items())
    return "\n\n".join([*parts, "## Presets", table(["name", "metrics"], presets)])


def methods_table() -> str:
    """One line for each method."""
    rows = ([f"`{entry.name}`", entry.title, entry.summary, entry.source] for entry in METHODS.values())
    return table(["name", "method", "parts and loss", "source"], rows)


def datasets_table() -> str:
    """One line for each data set."""
    rows = ([f"`{entry.name}`", entry.title, ", ".join(entry.splits), entry.source] for entry in DATASETS.values())
    return table(["name", "what it is", "splits", "source"], rows)


def command_sections(command: object, name: str = "nctools") -> list[str]:
    """Help and flags of a command and of all below it."""
    below = getattr(command, "commands", {})
    if below:
        return [text for key, child in below.items() for text in command_sections(child, f"{name} {key}")]
    rows = []
    for parameter in command.params:
        argument = parameter.param_type_name == "argument"
        shown = parameter.name.upper() if argument else ", ".join(parameter.opts)
        rows.append([f"`{shown}`", parameter.help or "", flag_default(parameter.default)])
    listed = table(["flag", "meaning", "default"], rows) if rows else ""
    return [f"### {name}\n\n{inspect.cleandoc(command.help or '')}\n\n{listed}"]


def flag_default(value: object) -> str:
    """What a flag is when it is not given; nothing for switches and for values that have no default."""
    shown = getattr(value, "value", value)
    return f"`{shown}`" if isinstance(shown, (str, Path, int, float)) and not isinstance(shown, bool) else ""


def api_page(module: object, names: Iterable[str]) -> str:
    """Autodoc directives for the public names of a module; tables of plain values are left to their own pages."""
    title = module.__name__
    summary = (inspect.getdoc(module) or "").partition("\n\n")[0]
    parts = [f"# {title}", summary]
    for name in names:
        value = getattr(module, name)
        kind = "class" if inspect.isclass(value) else "function" if inspect.isfunction(value) else ""
        if kind:
            parts.append(f"```{{eval-rst}}\n.. auto{kind}:: {title}.{name}\n```")
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """File name below ``_generated/`` -> text."""
    folders = [name for name in nctools.__all__ if inspect.ismodule(getattr(nctools, name))]
    top = [name for name in nctools.__all__ if name not in folders]
    texts = {
        "metrics_table.md": metrics_page(),
        "methods_table.md": methods_table(),
        "datasets_table.md": datasets_table(),
        "cli_table.md": "\n\n".join(command_sections(typer.main.get_command(app))),
        "api_nctools.md": api_page(nctools, top),
    }
    for folder in folders:
        module = getattr(nctools, folder)
        # A name that the top level offers is described there.
        texts[f"api_{folder}.md"] = api_page(module, [name for name in module.__all__ if name not in top])
    return texts


def write_pages(app: Sphinx) -> None:
    """Write what changed, so that an unchanged page is not read again."""
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    texts = pages()
    for stale in {path.name for path in folder.glob("*.md")} - texts.keys():
        (folder / stale).unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
