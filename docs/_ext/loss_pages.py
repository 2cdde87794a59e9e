"""Writes what the pages of the losses and of the methods made of them say in tables and equations."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping

from page_parts import literal, table

import nctools.losses
from nctools.evaluation.paper_values import PublishedValue, published_values
from nctools.losses.building import setting_names
from nctools.losses.catalogue import LOSSES, LossEntry
from nctools.losses.equations import EQUATIONS
from nctools.methods.catalogue import METHODS
from nctools.methods.loss_choice import checked_loss
from nctools.methods.loss_method import LossMethod
from nctools.methods.method import Method
from nctools.methods.signature import parameters_of

# Data set -> its name in the literature; those whose settings and numbers are printed.
PUBLISHED_FOR = {"voc_lt": "VOC-LT", "coco_lt": "COCO-LT"}
GROUPS = ("all", "head", "medium", "tail")
SAMPLING = {"any": "any", "uniform": "uniform", "class_aware": "class-aware"}
MADE_FROM = {
    "class_counts": "training positives of each class (`class_counts`)",
    "num_images": "number of training images (`num_images`)",
    "cooccurrence": "how often labels occur together (`cooccurrence`)",
}
PRINTED_FOR = {**PUBLISHED_FOR, "plt_voc": "PLT-VOC", "plt_coco": "PLT-COCO", "odir5k": "ODIR-5K"}
# Methods of the papers' tables that are not trained here.
ELSEWHERE = {
    "pg": "PG loss",
    "cae_net": "CAE-Net",
    "oltr": "OLTR",
    "ml_gcn": "ML-GCN",
    "bbn": "BBN",
    "urs": "URS",
    "cprfl": "CPRFL",
    "lmpt": "LMPT",
    "comic": "COMIC",
    "cssfe": "CSSFE",
}
# Data sets with settings of their own, beside what papers print numbers for the one that is embedded.
COLUMNS = {**PUBLISHED_FOR, "digits_lt": "digits_lt"}
# Methods with a page that is written by hand.
OWN_PAGE = {"erm", "class_attention", "mlc_nc"}
# Arguments of every method, which its section need not repeat.
_NETWORK = parameters_of(LossMethod).keys()


def losses_page() -> str:
    """All losses in the order of the catalogue: a table of links, then a section for each."""
    rows = ([f"[`{name}`](#{name})", f"{row.title}: {literal(row.summary)}"] for name, row in LOSSES.items())
    overview = table(["name", "what it changes in the binary cross entropy"], rows)
    return "\n\n".join([overview, *(loss_section(row) for row in LOSSES.values())])


def loss_section(row: LossEntry) -> str:
    """The entry of one loss: heading, equation, facts, settings."""
    function, built = f"{{py:obj}}`~nctools.losses.{row.function}`", row.builder.partition(":")[2]
    given = "".join(f", {name}=..." for name in row.needs)
    facts = {
        "Source": literal(row.source),
        "Made from": "; ".join(MADE_FROM[name] for name in row.needs) or "nothing but logits and targets",
        "Sampling": SAMPLING[row.sampler],
        "Reduction": f"{row.reduction}, where none is given",
        "In Python": f'`build("{row.name}"{given})`, {{py:obj}}`~nctools.losses.{built}`, {function}',
        "On the command line": command(row.name),
    }
    listed = "\n".join(f"- **{name}:** {value}" for name, value in facts.items())
    parts = [f"### `{row.name}`", f"{literal(row.title)}: {literal(row.summary)}.", f"$$\n{EQUATIONS[row.name]}\n$$"]
    return "\n\n".join([*parts, listed, loss_settings_table(row)])


def command(name: str) -> str:
    """How a loss is trained with from the command line."""
    own = {"bce": ["erm", "rs"], "mfm_prior": ["mfm --set variant=prior"]}.get(name, [name] if name in METHODS else [])
    try:
        own = [*own, f"mlc_nc --loss {checked_loss(name)}"]
    except ValueError:
        return "not by itself: a loop of one's own gives it the epoch, `loss(logits, targets, epoch=epoch)`"
    return ", ".join(f"`nctools train {words}`" for words in own)


def loss_settings_table(row: LossEntry) -> str:
    """Settings of a loss: meaning, value; values for the published data sets in columns where they are others."""
    built = loaded(row.builder)
    parameters = inspect.signature(built).parameters
    usual = {name: parameters[name].default for name in setting_names(row.name) if name != "reduction"}
    return settings_table("setting", documented_arguments(built), {**usual, **row.settings}, row.settings_for)


def settings_table(
    kind: str, meanings: Mapping[str, str], usual: Mapping[str, object], values_for: Mapping[str, Mapping[str, object]]
) -> str:
    """Settings with meaning and value, and a column for each data set that has values of its own; empty if none."""
    columns = [name for name in COLUMNS if any(name_of in usual for name_of in values_for.get(name, {}))]
    rows = [
        [f"`{name}`", literal(meanings.get(name, "")), shown(value)]
        + [shown(values_for[column][name]) if name in values_for[column] else "" for column in columns]
        for name, value in usual.items()
    ]
    header = [kind, "meaning", "value", *(COLUMNS[column] for column in columns)]
    return "{.options}\n" + table(header, rows) if rows else ""


def method_facts(name: str) -> str:
    """What the section of a method says by itself: loss, sampling, arguments, printed numbers."""
    built = loaded(METHODS[name].builder)
    loss = name if name in LOSSES else "bce"
    reduced = "reduction" in setting_names(loss)
    how = "summed over classes, mean over images" if reduced else LOSSES[loss].reduction
    facts = [
        f"- **Source:** {literal(METHODS[name].source)}",
        f"- **Loss:** [`{loss}`](../losses.md#{loss}), {how}",
        f"- **Sampling:** {sampling(built)}",
    ]
    return "\n\n".join(["\n".join(facts), arguments_table(built), published_table(name)])


def sampling(built: type[Method]) -> str:
    """How the images of a method are drawn, stage by stage."""
    recipe = built.recipe_for["voc_lt"]
    defaults = {name: parameter.default for name, parameter in parameters_of(built).items()}
    stages = [recipe, built.last_recipe(recipe, defaults)] if built.first_stage else [recipe]
    return ", then ".join(dict.fromkeys(SAMPLING[stage.sampler] for stage in stages))


def arguments_table(built: type[Method]) -> str:
    """Arguments of a method beside those of backbone and head, with values by data set; empty if none."""
    usual = {name: one.default for name, one in parameters_of(built).items() if name not in _NETWORK | MADE_FROM.keys()}
    return settings_table("argument", documented_arguments(built), usual, built.arguments_for)


def published_table(method: str) -> str:
    """What papers print of a method as it was proposed; empty where they print nothing."""
    rows = [
        [f"{PRINTED_FOR[row.dataset]}, {printer(row)}", *by_group] for row, by_group in published_rows(method, "mAP")
    ]
    return table(["printed mAP in %", "total", *GROUPS[1:]], rows) if rows else ""


def elsewhere_table() -> str:
    """What papers print of methods that are not trained here."""
    rows = [
        [title, f"{PRINTED_FOR[row.dataset]}, {printer(row)}", row.measure, *by_group]
        for method, title in ELSEWHERE.items()
        if method not in METHODS
        for measure in ("mAP", "weighted F1")
        for row, by_group in published_rows(method, measure)
    ]
    return table(["method", "printed", "in %", "total", *GROUPS[1:]], rows)


def comparison_table() -> str:
    """Total and tail of all methods here, as MLC-NC's paper compares them."""
    shown_groups = [(dataset, group) for dataset in PUBLISHED_FOR for group in ("all", "tail")]
    rows = []
    for method in METHODS:
        found = {
            (value.dataset, value.group): f"{value.value:.2f}"
            for value in published_values(paper="mlc_nc", method=method, setting="", measure="mAP", table="comparison")
        }
        if found:
            rows.append([f"`{method}`", *(found[key] for key in shown_groups)])
    titles = {"all": "total", "tail": "tail"}
    return table(["method", *(f"{PUBLISHED_FOR[data]} {titles[group]}" for data, group in shown_groups)], rows)


def published_rows(method: str, measure: str) -> Iterator[tuple[PublishedValue, list[str]]]:
    """For each table and data set that a method stands in one of its values, and all of them by group."""
    found = published_values(method=method, setting="", measure=measure)
    places = dict.fromkeys((value.paper, value.table, value.dataset) for value in found)
    for paper, listed, dataset in sorted(places, key=lambda place: list(PRINTED_FOR).index(place[2])):
        values = [value for value in found if (value.paper, value.table, value.dataset) == (paper, listed, dataset)]
        by_group = {value.group: f"{value.value:.{1 if 'F1' in measure else 2}f}" for value in values}
        yield values[0], [by_group.get(group, "-") for group in GROUPS]


def printer(row: PublishedValue) -> str:
    """Whose table a number stands in, and whether it was read off the print."""
    titles = {"mlc_nc": "MLC-NC", "comic": "COMIC", "cssfe": "CSSFE", "lmpt": "LMPT"}
    return titles[row.paper] + (" (recalled)" if "recalled" in row.table else "")


def shown(value: object) -> str:
    """A value of a setting; None as the word that the meaning beside it explains."""
    if value is inspect.Parameter.empty:
        return ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def loaded(builder: str) -> type:
    """The class that a row of a catalogue names."""
    module, _, attribute = builder.partition(":")
    return getattr(importlib.import_module(module), attribute)


def documented_arguments(built: type) -> dict[str, str]:
    """Argument -> meaning: of a class, its bases, and the functions that they refer to ("As in ...")."""
    told = [inspect.cleandoc(one.__dict__.get("__doc__") or "") for one in built.__mro__]
    for name in re.findall(r"As in ``(\w+)``", "".join(told)):
        function = getattr(inspect.getmodule(built), name, None) or getattr(nctools.losses, name)
        told.append(inspect.getdoc(function) or "")
    meanings: dict[str, str] = {}
    for docstring in told:
        for name, meaning in arguments_section(docstring):
            if meanings.get(name, "Likewise").startswith(("As in", "Likewise")):
                meanings[name] = meaning
    return meanings


def arguments_section(docstring: str) -> list[tuple[str, str]]:
    """The names of a docstring's "Args", and what it says of each."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^(\w+): (.*(?:\n[ ]+.*)*)", inspect.cleandoc(section[1]) if section else "", re.MULTILINE)
    return [(name, " ".join(meaning.replace("``", "").split())) for name, meaning in entries]


def pages() -> dict[str, str]:
    """File name below ``_generated/`` -> text."""
    return {
        "losses_table.md": losses_page(),
        "printed_losses_table.md": comparison_table(),
        "printed_elsewhere_table.md": elsewhere_table(),
    } | {f"method_{name}_table.md": method_facts(name) for name in METHODS if name not in OWN_PAGE}
