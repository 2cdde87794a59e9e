"""``nctools data validate``: everything that is wrong with the user's own data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.options import DataRoot, Force, JsonFile, Quiet
from nctools.cli.output import print_table, refuse_to_overwrite, say, write_json

if TYPE_CHECKING:
    from nctools.data.own.findings import ValidationReport

_FAILED = 4
# So many images without labels are named, all on one line.
_ORPHANS = 3
# Off a terminal, a check that takes fewer seconds tells no progress.
_QUICK = 2.0
_NOT_DECODED = {"missing_image", "unreadable_image", "truncated_image"}


def validate(
    path: Annotated[
        str,
        typer.Argument(
            help="Image folder, folder of VOC or COCO annotations, or a file of labels (.csv, .tsv, .json, .txt)."
        ),
    ],
    data_root: DataRoot = None,
    no_decode: Annotated[
        bool, typer.Option("--no-decode", help="Only look whether the images are there; do not decode them.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Threads that decode images.")] = 0,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Findings to print of each kind; 0: all. JSON has all.")
    ] = 20,
    quiet: Quiet = False,
    json_file: JsonFile = None,
    force: Force = False,
) -> None:
    """List every problem of your own data, with its place, and go on to the end.

    Errors keep the data from being loaded, or make what is measured on them wrong; then the exit code is 4. Warnings
    are worth a look.

    Example: nctools data validate labels.csv --data-root photos --workers 4
    """
    from nctools.data.own.validation import validate as check
    from nctools.features.progress import progress_of_passes

    refuse_to_overwrite(json_file, force=force)
    with progress_of_passes(enabled=not quiet, doing="checking", what="images", after=_QUICK) as tell:
        report = check(path, root=data_root, decode=not no_decode, workers=workers, progress=tell)
    if json_file is not None:
        write_json({"schema": 1, **report.to_document()}, json_file)
    if json_file != "-":
        _print(report, limit)
    if not report.ok:
        raise typer.Exit(_FAILED)


def _print(report: ValidationReport, limit: int) -> None:
    from nctools.data.own.findings import KINDS, LEVELS, printable

    for kind, findings in report.by_kind().items():
        levels = sorted({finding.level for finding in findings})
        say_kind = f"{' and '.join(levels)}: {kind} ({len(findings)}): {KINDS[kind][1] if kind in KINDS else ''}"
        typer.echo(say_kind.rstrip(": "))
        if kind == "orphan_image" and len(findings) > _ORPHANS and limit:
            # A table that names some of the images of a folder is no rarity.
            first = ", ".join(printable(finding.place) for finding in findings[:_ORPHANS])
            typer.echo(f"  {first} and {len(findings) - _ORPHANS} more (--limit 0 prints all)\n")
            continue
        shown = findings[: limit or len(findings)]
        for finding in shown:
            typer.echo(f"  {printable(str(finding))}")
        if len(findings) > len(shown):
            typer.echo(f"  ... and {len(findings) - len(shown)} more (--limit 0 prints all)")
        typer.echo()
    whole = {"images": report.num_images, "labels": report.num_labels, "unknown": report.num_unknown}
    splits = report.splits or {"all": whole}
    columns = ["images", "labels", *(["unknown"] if report.num_unknown else [])]
    unknown = f", {report.num_unknown} unknown" if report.num_unknown else ""
    print_table(
        f"{printable(report.source)} ({report.form}): {report.num_images} images, {len(report.class_counts)} classes, "
        f"{report.num_labels} labels{unknown}",
        ["split", *columns],
        [[printable(name), *(str(counts[column]) for column in columns)] for name, counts in splits.items()],
    )
    counts = [(level, len(report.of_level(level))) for level in LEVELS]
    found = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts)
    say(f"{'passed' if report.ok else 'failed'}: {found}, {_decoded(report)}")


def _decoded(report: ValidationReport) -> str:
    if not report.decoded:
        return "images not decoded"
    failed = sum(finding.kind in _NOT_DECODED for finding in report.problems)
    return f"{failed} of {report.num_images} images could not be decoded" if failed else "every image decoded"
