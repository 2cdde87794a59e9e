"""What several runs have in common and what sets them apart: settings, data, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nctools.report.collect import RunRecord
from nctools.report.formats import several
from nctools.run_settings import settings_that_count

_ABSENT = "-"


@dataclass(frozen=True)
class Comparison:
    """Several runs beside each other.

    Args:
        sentences: Whether data, classes and images are the same.
        differing: Setting -> its value in each run, as text.
        shared: Number of settings that are the same in all.
    """

    sentences: list[str]
    differing: dict[str, list[str]]
    shared: int


def compare(records: Sequence[RunRecord]) -> Comparison | None:
    """Compare the settings, data and classes of runs.

    Args:
        records: What ``collect_runs`` returned.

    Returns:
        The comparison; None of one run.
    """
    if len(records) < 2:
        return None
    settings = [settings_that_count(record.facts.config) if record.facts.config else {} for record in records]
    keys = list(dict.fromkeys(key for found in settings for key in found))
    rows = {key: [_text(found.get(key, _ABSENT)) for found in settings] for key in keys}
    differing = {key: row for key, row in rows.items() if len(set(row)) > 1}
    return Comparison(_sentences(records), differing, len(rows) - len(differing))


def _sentences(records: Sequence[RunRecord]) -> list[str]:
    sentences = _same("data set", [record.facts.dataset for record in records], records)
    sentences += _same_classes(records)
    tested = [f"{record.evaluation.num_images:,}" if record.evaluation else "" for record in records]
    sentences += _same("number of test images", tested, records)
    versions = [str(record.facts.environment.get("torch", "")) for record in records]
    sentences += _same("version of torch", versions, records)
    spaces = {
        f"{record.collapse.spaces[0]} ({record.collapse.settings.get('num_features', '?')} wide)"
        for record in records
        if record.collapse is not None
    }
    if len(spaces) > 1:
        sentences.append(
            f"The main feature spaces are not the same ({several(sorted(spaces))}): NC values depend on the width and "
            "on where in the network features are taken, so compare them with care."
        )
    return sentences


def _same(what: str, values: Sequence[str], records: Sequence[RunRecord]) -> list[str]:
    # Only runs of which it is known are compared.
    known = {record.name: value for record, value in zip(records, values, strict=True) if value}
    if len(known) < 2:
        return []
    if len(set(known.values())) == 1:
        return [f"{_those(list(known), records)} have the same {what}: {next(iter(known.values()))}."]
    unknown = "" if len(known) == len(records) else " (of the others it is not known)"
    return [
        f"The runs differ in their {what}: {several([f'{name} {value}' for name, value in known.items()])}{unknown}."
    ]


def _same_classes(records: Sequence[RunRecord]) -> list[str]:
    known = [record for record in records if record.facts.class_names]
    if len(known) < 2:
        return []
    if len({tuple(record.facts.class_names) for record in known}) > 1:
        return ["The runs have different classes: values of single classes and of groups are not of the same things."]
    those, count = _those([record.name for record in known], records), len(known[0].facts.class_names)
    if len({tuple(record.facts.class_counts) for record in known}) > 1:
        return [f"{those} have the same {count} classes, but other training images for them: the groups may differ."]
    return [f"{those} have the same {count} classes with the same numbers of training images."]


def _those(names: Sequence[str], records: Sequence[RunRecord]) -> str:
    return "All runs" if len(names) == len(records) else f"{several(names)} (of the others it is not known)"


def _text(value: object) -> str:
    if isinstance(value, Mapping) and not value:
        return _ABSENT
    return _ABSENT if value is None else str(value)
