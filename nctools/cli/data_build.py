"""``nctools data build`` and ``nctools data import``: long-tailed training sets as plain JSON files."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.data_options import ClassGroups, reading_labels
from nctools.cli.options import DataRoot, Force, JsonFile, Quiet
from nctools.cli.output import input_errors, print_table, refuse_to_overwrite, say, to_paste, write_json

if TYPE_CHECKING:
    from nctools.data.long_tail import LongTail
    from nctools.data.split_file import SplitFile


class DrawKind(StrEnum):
    """How random images are drawn."""

    portable = "portable"
    released = "released"


class DifficultKind(StrEnum):
    """Whether objects marked difficult count."""

    include = "include"
    exclude = "exclude"


def _above_zero(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise typer.BadParameter(f"{value:g} is not a number above 0")
    return value


def _share(value: float) -> float:
    if not 0 <= value < 1:
        raise typer.BadParameter(f"{value:g} is not at least 0 and less than 1")
    return value


def _json(path: Path) -> Path:
    if path.suffix.lower() != ".json":
        raise typer.BadParameter(
            f"{path} is no .json file, and a split file is JSON: name it {path.with_suffix('.json')}"
        )
    return path


SplitOut = Annotated[Path, typer.Option("--out", "-o", callback=_json, help="Split file to write (.json).")]


def build(
    source: Annotated[
        str, typer.Option("--from", help="voc, coco, vg200, odir5k, or the path of your own images or labels.")
    ],
    out: SplitOut,
    data_root: DataRoot = None,
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha", callback=_above_zero, help="Exponent of the Pareto distribution; larger: a shorter tail."
        ),
    ] = 6,
    n_max: Annotated[
        int,
        typer.Option(
            "--max",
            min=1,
            help="Target of the class ranked first. Classes are ranked by how often they come along when each class "
            "gives one image.",
        ),
    ] = 800,
    n_min: Annotated[int, typer.Option("--min", min=1, help="Added to every class.")] = 1,
    quantile: Annotated[
        float, typer.Option("--quantile", callback=_share, help="Where the distribution is cut.")
    ] = 0.99,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draw and of the dropped labels.")] = 0,
    draw: Annotated[
        DrawKind, typer.Option("--draw", help="portable: the same everywhere; released: as the code of DB loss draws.")
    ] = DrawKind.portable,
    drop_labels: Annotated[
        float,
        typer.Option("--drop-labels", callback=_share, help="Drop each training label with this probability."),
    ] = 0.0,
    difficult: Annotated[
        DifficultKind, typer.Option("--difficult", help="Whether objects that VOC marks difficult count.")
    ] = DifficultKind.include,
    groups: ClassGroups = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the set. Default: that of the file.")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw target against reached counts: .png, .svg or .pdf.")
    ] = None,
    json_file: JsonFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw a long-tailed training set out of any multi-label images, and tell what was reached.

    The result is used as --dataset split.json wherever a data set is named.

    Example: nctools data build --from voc --data-root VOCdevkit --alpha 6 --max 800 -o split.json
    """
    from nctools.data.building import build_split
    from nctools.data.split_file import save_split

    if n_min > n_max:
        raise typer.BadParameter(f"--min {n_min} is more than --max {n_max}")
    for target in (out, figure, json_file):
        refuse_to_overwrite(target, force=force)
    with input_errors(), reading_labels(quiet=quiet) as reading:
        split, tail = build_split(
            source,
            root=None if data_root is None else Path(data_root),
            reading=reading,
            out=out,
            name=name or out.stem,
            alpha=alpha,
            n_max=n_max,
            n_min=n_min,
            quantile=quantile,
            seed=seed,
            draw=draw.value,
            drop=drop_labels,
            difficult=difficult.value,
            groups=groups,
        )
    save_split(split, out, force=force)
    document = _report(split, tail)
    if json_file is not None:
        write_json(document, json_file)
    if json_file != "-":
        _print_reached(split, tail)
    _tell_notes(split)
    if figure is not None:
        from nctools.plots import construction, construction_data, save_figure

        counts = (tail.targets, tail.reached, split.class_names)
        kept = None if split.full_labels is None else split.class_counts
        drawn = construction(*counts, ranks=tail.ranks, kept=kept)
        for path in save_figure(drawn, figure, construction_data(*counts, ranks=tail.ranks, kept=kept)):
            say(f"wrote {path}")
    say(f"wrote {out}: {len(split.ids)} images")
    if not quiet:
        described = to_paste("data", "describe", out, data_root=data_root)
        say(f"next: {described}   {to_paste('train', 'mlc_nc', dataset=out, data_root=data_root)}")


def import_(
    files: Annotated[list[Path], typer.Argument(help="The authors' files, or the folder that holds them.")],
    out: SplitOut,
    name: Annotated[
        str | None, typer.Option("--name", help="voc_lt, coco_lt, plt_voc or plt_coco. Default: what the files are.")
    ] = None,
    data_root: DataRoot = None,
    json_file: JsonFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Turn published split files into one plain JSON file, checked against what is known of them.

    They are recognised by what they hold (img_id.txt, img_id.pkl, class_freq.pkl, class_split.pkl, PLT_VOC_train.json,
    distribution.txt, ...) and read without running anything in them. A list of ids alone needs --data-root: then labels
    come from the annotations of the images.

    Example: nctools data import VOCdevkit/longtail2012 -o voc_lt.json
    """
    from nctools.data.named_sets import labels_reader
    from nctools.data.published.splits import import_published
    from nctools.data.split_file import save_split

    for target in (out, json_file):
        refuse_to_overwrite(target, force=force)
    with input_errors(), reading_labels(quiet=quiet) as reading:
        labels_of = None if data_root is None else labels_reader(Path(data_root), reading)
        split = import_published(files, name=name, labels_of=labels_of)
    save_split(split, out, force=force)
    if json_file is not None:
        write_json({"schema": 1, **_facts(split)}, json_file)
    if json_file != "-":
        groups = _group_of(split)
        print_table(
            f"{split.name}: {len(split.ids)} images, {int(split.labels.sum())} labels",
            ["class", "group", "images"],
            [
                [class_name, groups[index], str(split.class_counts[index])]
                for index, class_name in enumerate(split.class_names)
            ],
        )
    _tell_notes(split)
    say(f"wrote {out}: {len(split.ids)} images of {split.source}")
    if not quiet:
        say(f"next: {to_paste('data', 'describe', out, data_root=data_root or 'DIR')}")


def _facts(split: SplitFile) -> dict[str, object]:
    return {
        "name": split.name,
        "source": split.source,
        "num_images": len(split.ids),
        "num_labels": int(split.labels.sum()),
        "class_names": split.class_names,
        "class_counts": split.class_counts,
        "groups": _groups(split),
        "made_by": split.made_by,
        "notes": _notes(split),
    }


def _report(split: SplitFile, tail: LongTail) -> dict[str, object]:
    from nctools.data.label_matrix import co_occurrence

    labels = split.labels
    full = split.full_labels
    return {
        "schema": 1,
        **_facts(split),
        "targets": list(map(int, tail.targets)),
        "reached": list(map(int, tail.reached)),
        "short": list(map(int, tail.short)),
        "labels_per_image": float(labels.sum() / len(labels)),
        "co_occurrence": co_occurrence(labels).tolist(),
        "dropped_labels": None if full is None else 1 - float(labels.sum() / full.sum()),
    }


def _print_reached(split: SplitFile, tail: LongTail) -> None:
    groups, counts = _group_of(split), split.class_counts
    dropped = split.full_labels is not None
    rows = []
    for rank, index in enumerate(map(int, tail.ranks)):
        target, reached = int(tail.targets[index]), int(tail.reached[index])
        left = [str(counts[index])] if dropped else []
        numbers = [str(rank), str(target), str(reached), f"{reached - target:+d}", *left]
        rows.append([split.class_names[index], *numbers, groups[index]])
    sizes = ", ".join(f"{len(members)} {group}" for group, members in _groups(split).items())
    print_table(
        f"{split.name}: {len(split.ids)} images, {split.labels.sum() / len(split.ids):.2f} labels per image; {sizes}",
        ["class", "rank", "target", "reached", "difference", *(["kept"] if dropped else []), "group"],
        rows,
        caption="Every image brings all its labels, so the counts of frequent classes drift after their turn.",
    )


def _groups(split: SplitFile) -> dict[str, list[int]]:
    from nctools.data.group_rules import groups_from

    return split.groups or groups_from(None, split.class_counts, split.class_names)


def _group_of(split: SplitFile) -> list[str]:
    of = {index: group for group, members in _groups(split).items() for index in members}
    return [of.get(index, "-") for index in range(len(split.class_names))]


def _notes(split: SplitFile) -> list[str]:
    drawn = split.made_by.get("notes")
    return [*(map(str, drawn) if isinstance(drawn, list) else ()), *split.notes]


def _tell_notes(split: SplitFile) -> None:
    for note in _notes(split):
        say(f"note: {note}")
