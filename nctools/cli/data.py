"""``nctools data``: data sets by name and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.data_build import build, import_
from nctools.cli.data_options import ClassGroups, DataSettingsText, data_settings, reading_labels
from nctools.cli.data_validate import validate
from nctools.cli.options import DataRoot, Force, JsonFile, Quiet
from nctools.cli.output import input_errors, print_table, print_wide, refuse_to_overwrite, say, to_paste, write_json

if TYPE_CHECKING:
    from nctools.data.description import DatasetDescription

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, describe, build, import and check data sets."
)
app.command("build")(build)
app.command("import")(import_)
app.command("validate")(validate)


@app.command("list")
def list_datasets(json_file: JsonFile = None) -> None:
    """List the data sets, one line each."""
    from nctools.data.catalogue import DATASETS

    if json_file is not None:
        rows = [
            {"name": row.name, "title": row.title, "source": row.source, "splits": list(row.splits)}
            for row in DATASETS.values()
        ]
        write_json({"schema": 1, "datasets": rows}, json_file)
        return
    print_wide(
        "data sets (nctools data describe NAME)",
        ["name", "what it is", "splits", "source"],
        [[row.name, row.title, ", ".join(row.splits), row.source] for row in DATASETS.values()],
    )


@app.command("describe")
def describe(
    name: Annotated[
        str, typer.Argument(help="Data set (digits_lt, voc_lt, ...), split file, or path of your own images or labels.")
    ],
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option("--split", help="Split to describe.")] = "train",
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Also draw it: a .png, .svg or .pdf file; the data go beside it as CSV."),
    ] = None,
    groups: ClassGroups = None,
    settings: DataSettingsText = None,
    json_file: JsonFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Describe a data set: counts by class, groups, labels per image, which groups come together.

    Example: nctools data describe digits_lt --figure digits_lt.png
    """
    from nctools.data.description import describe_dataset
    from nctools.data.loading import open_dataset

    for target in (figure, json_file):
        refuse_to_overwrite(target, force=force)
    chosen = data_settings(settings, groups=groups)
    with input_errors(), reading_labels(quiet=quiet) as reading:
        opened = open_dataset(name, root=data_root, settings=chosen, cache=reading.cache, progress=reading.progress)
        facts = describe_dataset(opened.load(split))
    if json_file is not None:
        write_json({"schema": 1, **facts.to_document()}, json_file)
    if json_file != "-":
        _print_facts(facts)
    if figure is not None:
        from nctools.figures import distribution_of, save_drawing

        with input_errors():
            for path in save_drawing(distribution_of(facts), figure):
                say(f"wrote {path}")
    elif json_file != "-" and not quiet:
        another = None if split == "train" else split
        given = {"data_root": data_root, "split": another, "groups": groups, "data_settings": settings}
        file = f"{facts.name}-{another}.png" if another else f"{facts.name}.png"
        say(f"figure: {to_paste('data', 'describe', name, **given, figure=file)}")
    for note in facts.notes:
        say(f"note: {note}")


def _print_facts(facts: DatasetDescription) -> None:
    group_of = {index: group for group, classes in facts.groups.items() for index in classes}
    order = sorted(range(len(facts.class_names)), key=lambda index: -facts.class_counts[index])
    print_table(
        f"{facts.name} {facts.split}: {facts.num_images} images, {len(facts.class_names)} classes, "
        f"{facts.mean_labels:.2f} labels per image, imbalance {facts.imbalance:.0f}",
        ["class", "index", "group", "images"],
        [[facts.class_names[i], str(i), group_of.get(i, "-"), str(facts.class_counts[i])] for i in order],
    )
    labels = [[str(count), str(images)] for count, images in enumerate(facts.labels_per_image) if images]
    print_table("labels per image", ["labels", "images"], labels)
    names = list(facts.groups)
    counts = facts.group_co_occurrence
    print_table(
        "images that hold a class of both groups (diagonal: of the group)",
        ["", *names],
        [[name, *(str(int(value)) for value in counts[row])] for row, name in enumerate(names)],
        caption=_shares(facts),
    )


def _shares(facts: DatasetDescription) -> str:
    shares = []
    if facts.tail_with_head is not None:
        shares.append(f"{facts.tail_with_head:.1%} of the images with a tail class hold a head class too.")
    if facts.missing_labels is not None:
        shares.append(f"{facts.missing_labels:.1%} of the labels are missing.")
    return " ".join(shares)
