"""Writes the pages that follow from the package's own tables: metrics, methods, data sets, public names; and notebooks.

They land in ``docs/_generated/`` at each build, so the site cannot tell of a metric that is not there.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import loss_pages
import typer
from page_parts import literal, plain, table

import nctools
from nctools.cli.app import app
from nctools.collapse.catalogue import ALIASES, METRICS, OVER_LAYERS, PRESETS, SYMBOLS, Metric
from nctools.data.catalogue import DATASETS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def metric_section(metric: Metric) -> str:
    """The entry of one metric: heading, formula, facts."""
    facts = {
        "Symbol": metric.symbol,
        "Source": metric.source,
        "At perfect collapse": metric.limit,
        "Read as": metric.direction,
        "Needs": metric.needs,
        "Cost": metric.cost,
        "Group value": metric.aggregator,
        "Settings": metric.settings,
        "Features": metric.kinds,
    }
    # Marks that the formulas and sentences hold are no Markdown.
    listed = "\n".join(f"- **{name}:** {literal(plain(value))}" for name, value in facts.items())
    return f"### `{metric.id}`\n\n{literal(metric.title)}.\n\n```text\n{metric.formula}\n```\n\n{listed}\n"


def metrics_page() -> str:
    """All metrics by symbol, then presets and other names."""
    everything = [*METRICS.values(), *OVER_LAYERS.values()]
    parts = []
    for symbol, meaning in SYMBOLS.items():
        parts += [f"## {symbol}: {meaning}", *(metric_section(row) for row in everything if row.symbol == symbol)]
    presets = ((f"`{name}`", ", ".join(f"`{metric}`" for metric in members)) for name, members in PRESETS.items())
    aliases = ((f"`{name}`", f"`{metric}`") for name, metric in ALIASES.items())
    parts += ["## Presets", table(["name", "metrics"], presets), "## Other names", table(["name", "metric"], aliases)]
    return "\n\n".join(parts)


def sources_table() -> str:
    """The metrics of each source, in the order of the catalogue."""
    metrics_of: dict[str, list[str]] = {}
    for row in [*METRICS.values(), *OVER_LAYERS.values()]:
        metrics_of.setdefault(row.source, []).append(f"`{row.id}`")
    return table(["source", "metrics"], ([literal(source), ", ".join(ids)] for source, ids in metrics_of.items()))


def datasets_table() -> str:
    """One line for each data set."""
    rows = ([f"`{entry.name}`", entry.title, ", ".join(entry.splits), entry.source] for entry in DATASETS.values())
    return table(["name", "what it is", "splits", "source"], rows)


def command_sections(command: object, name: str = "nctools") -> list[str]:
    """A section for a command, or for each command below it: how it is called, what it does, its flags."""
    below = getattr(command, "commands", {})
    if below:
        return [text for key, child in below.items() for text in command_sections(child, f"{name} {key}")]
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    call = " ".join([name, *(argument_shown(argument) for argument in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"### {name}", f"```text\n{call}\n```", command_help(command.help or "")]
    if arguments:
        rows = ([f"`{argument_shown(argument)}`", literal(argument.help or "")] for argument in arguments)
        parts.append("{.options}\n" + table(["argument", "meaning"], rows))
    if options:
        rows = ([option_shown(option), literal(option.help or ""), flag_default(option.default)] for option in options)
        parts.append("{.options}\n" + table(["option", "meaning", "default"], rows))
    return ["\n\n".join(parts)]


def command_help(text: str) -> str:
    """The help of a command as Markdown, its examples as code."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        words = " ".join(paragraph.split())
        example = re.match(r"Examples?: (nctools .*)", words)
        paragraphs.append(f"```text\n{example[1]}\n```" if example else literal(words))
    # Examples that follow each other are one block.
    return "\n\n".join(paragraphs).replace("\n```\n\n```text\n", "\n")


def argument_shown(argument: object) -> str:
    """An argument as it stands in a call."""
    shown = f"{argument.name.upper()}{'...' if argument.nargs == -1 else ''}"
    return shown if argument.required else f"[{shown}]"


def option_shown(option: object) -> str:
    """The names of an option, and what it takes."""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    takes = "" if option.is_flag else option.metavar or taken_by(option)
    return f"{names} {literal(takes)}" if takes else names


def taken_by(option: object) -> str:
    """What an option takes, from its annotation; nothing where this typer does not tell."""
    told = getattr(option, "type_descriptor", None)
    choices = getattr(told, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    words = {"Path": "PATH", "int": "N", "float": "X", "str": "TEXT"}
    return next((shown for word, shown in words.items() if word in str(getattr(told, "annotation", ""))), "")


def flag_default(value: object) -> str:
    """What a flag is when it is not given; nothing for switches and for values that have no default."""
    shown = getattr(value, "value", value)
    return f"`{shown}`" if isinstance(shown, (str, Path, int, float)) and not isinstance(shown, bool) else ""


def kind_of(value: object) -> str:
    """How autodoc documents it; empty for tables and other plain values."""
    return "class" if inspect.isclass(value) else "function" if inspect.isfunction(value) else ""


def api_page(module: object, names: Iterable[str]) -> str:
    """What a part is, its names with a line each, then all of them in full; plain values have pages of their own."""
    title = module.__name__
    about = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("``", "`")
    shown = [name for name in names if kind_of(getattr(module, name))]
    rows = (
        [f"{{py:obj}}`{name} <{title}.{name}>`", first_line(getattr(module, name))]
        for name in sorted(shown, key=str.lower)
    )
    parts = [f"# {title}", about, table(["name", "what it is"], rows)]
    parts += [f"```{{eval-rst}}\n.. auto{kind_of(getattr(module, name))}:: {title}.{name}\n```" for name in shown]
    return "\n\n".join(parts) + "\n"


def first_line(value: object) -> str:
    """The first line of a docstring, as Markdown."""
    return (inspect.getdoc(value) or "").partition("\n")[0].replace("``", "`")


def pages() -> dict[str, str]:
    """File name below ``_generated/`` -> text."""
    folders = [name for name in nctools.__all__ if inspect.ismodule(getattr(nctools, name))]
    top = [name for name in nctools.__all__ if name not in folders]
    texts = {
        "metrics_table.md": metrics_page(),
        "datasets_table.md": datasets_table(),
        "sources_table.md": sources_table(),
        "cli_table.md": "\n\n".join(command_sections(typer.main.get_command(app))),
        **loss_pages.pages(),
        "api_nctools.md": api_page(nctools, top),
    }
    for folder in folders:
        module = getattr(nctools, folder)
        # A name that the top level offers is described there.
        texts[f"api_{folder}.md"] = api_page(module, [name for name in module.__all__ if name not in top])
    return texts


def notebooks(folder: Path) -> dict[str, str]:
    """File name -> text of the notebooks, which are shown with the outputs that they are kept with."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.ipynb"))}


def write_pages(app: Sphinx) -> None:
    """Write what changed, so that an unchanged page is not read again."""
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    texts = pages() | notebooks(Path(app.srcdir).parent / "examples")
    for stale in {path.name for path in folder.iterdir()} - texts.keys():
        (folder / stale).unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
