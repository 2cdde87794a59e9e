"""Plain data in, one self-contained HTML page out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import yaml
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from nctools import __version__
from nctools.report.citations import citations_of
from nctools.report.collect import RunRecord
from nctools.report.comparison import compare
from nctools.report.document import json_for_script, report_document
from nctools.report.formats import number, percent, several
from nctools.report.pictures import Picture
from nctools.report.table_classes import class_tables
from nctools.report.table_collapse import collapse_table
from nctools.report.table_facts import differing_table, facts_table
from nctools.report.table_scores import score_note, score_table
from nctools.report.terms import SCORE_TERMS, terms_of
from nctools.report.values import FIRST, collapse_value, mean_precision
from nctools.report.words import summary

_TEMPLATES: Final = ("page.html.j2", "tables.html.j2", "figures.html.j2")


def render(records: Sequence[RunRecord], pictures: Sequence[Picture], *, created: str) -> str:
    """Write the page.

    Args:
        records: What ``collect_runs`` returned.
        pictures: What ``pictures_of`` returned.
        created: When the page is made, as text.

    Returns:
        The page: styles, scripts, pictures and data inside, nothing fetched from anywhere.
    """
    sentences, comparison = summary(records), compare(records)
    document = report_document(records, pictures, comparison, summary=sentences, created=created)
    metrics = dict.fromkeys(name for record in records if record.collapse for name in record.collapse.definitions)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=_title(records),
            records=records,
            created=created,
            version=__version__,
            summary=sentences,
            cards=[_card(record) for record in records],
            scores=score_table(records),
            collapse=collapse_table(records),
            other_spaces=collapse_table(records, other_spaces=True),
            classes=class_tables(records),
            facts=facts_table(records),
            comparison=comparison,
            differing=differing_table(records, comparison),
            has_notes=any(record.notes for record in records),
            score_note=score_note(records),
            parts={
                part: [p for p in pictures if p.section.part == part]
                for part in ("scores", "collapse", "classes", "images")
            },
            terms=[*SCORE_TERMS.values(), *terms_of(metrics)],
            configs=[
                (record.name, yaml.safe_dump(dict(record.facts.config), sort_keys=False))
                for record in records
                if record.facts.config
            ],
            citations=citations_of(records),
            # Our own files, and JSON that is escaped for a script element: all that the templates do not escape.
            style=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
            document=Markup(json_for_script(document)),
        )
    )


def _environment() -> Environment:
    loader = DictLoader({name: _text(name) for name in _TEMPLATES})
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _text(name: str) -> str:
    return files("nctools.report").joinpath(name).read_text(encoding="utf-8")


def _title(records: Sequence[RunRecord]) -> str:
    sets = list(dict.fromkeys(record.facts.dataset for record in records if record.facts.dataset))
    what = records[0].facts.title if len(records) == 1 else f"{len(records)} runs"
    return f"{what} on {several(sets)}" if sets else what


def _card(record: RunRecord) -> dict[str, str]:
    return {
        "name": record.name,
        "title": record.facts.title,
        "total": percent(mean_precision(record)),
        "tail": percent(mean_precision(record, "tail")),
        "collapse": number(collapse_value(record, FIRST)),
    }
