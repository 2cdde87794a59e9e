from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nctools.figures import Drawing
from nctools.report.collect import RunRecord
from nctools.report.comparison import compare
from nctools.report.document import report_document
from nctools.report.page import render
from nctools.report.pictures import Picture, data_uri, image_uri
from nctools.report.sections import SECTIONS
from nctools.report.words import summary
from tests.report.cases import HOSTILE, NAMES, run_record
from tests.report.html_check import PageReader, read_page


def pictures() -> list[Picture]:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    drawing = Drawing(figure, pd.DataFrame({"class": [HOSTILE], "value": [1.0]}))
    shown = Picture(SECTIONS[0], ["erm"], image_uri(drawing), 192, 96, *data_uri(drawing.data, "curve"))
    return [shown, Picture(SECTIONS[1], ["erm"], missing=f"no features of {HOSTILE}")]


def page_of(*records: RunRecord) -> tuple[str, PageReader]:
    page = render(records, pictures(), created="2026-01-01 12:00 UTC")
    return page, read_page(page)


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_is_valid_html(count: int) -> None:
    _, reader = page_of(*(run_record(f"run{index}", seed=index, notes=("a note",)) for index in range(count)))
    assert reader.faults == []


def test_names_are_escaped_wherever_they_stand() -> None:
    hostile = run_record(HOSTILE, method=HOSTILE, notes=(f"a note on {HOSTILE}",))
    page, reader = page_of(hostile)
    assert "<script>alert" not in page
    # Two scripts: the data and ours.
    assert [given.get("type", "") for tag, given in reader.tags if tag == "script"] == ["application/json", ""]
    assert HOSTILE in "".join(reader.texts)
    assert NAMES[1] in "".join(reader.texts)


def test_the_json_inside_is_the_document() -> None:
    records = [run_record("a"), run_record("b", method="mlc_nc", spread=0.2)]
    _, reader = page_of(*records)
    found = json.loads(reader.scripts[0])
    asked = report_document(
        records, pictures(), compare(records), summary=summary(records), created="2026-01-01 12:00 UTC"
    )
    assert found == json.loads(json.dumps(asked))
    assert found["schema"] == 1
    assert found["runs"][1]["evaluation"]["average_precision"].keys() == set(NAMES)
    assert [figure["missing"] is None for figure in found["figures"]] == [True, False]
    assert found["runs"][0]["collapse"]["per_class"]["class_name"] == list(NAMES)
    values = {row["metric"]: row["value"] for row in found["runs"][0]["collapse"]["table"] if row["group"] == "all"}
    assert records[0].collapse is not None
    assert values["nc1_pinv"] == records[0].collapse.to_dict()["all"]["nc1_pinv"]


def test_nothing_is_fetched() -> None:
    page, reader = page_of(run_record())
    addresses = [given[key] for _, given in reader.tags for key in ("src", "href") if given.get(key)]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "http://" not in page
    assert "https://" not in page
    policy = next(given for tag, given in reader.tags if given.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy["content"]


def test_every_metric_of_the_tables_is_defined_on_the_page() -> None:
    record = run_record()
    _, reader = page_of(record)
    assert record.collapse is not None
    for metric in record.collapse.definitions:
        assert f"term-{metric}" in reader.ids
        assert f"#term-{metric}" in [given.get("href") for _, given in reader.tags]


def test_missing_scores_and_collapse_are_told_in_words() -> None:
    bare = replace(run_record(), evaluation=None, scored="the images are gone", collapse=None, measured="no features")
    _, reader = page_of(bare)
    text = "".join(reader.texts)
    assert reader.faults == []
    assert "No scores of erm: the images are gone." in text
    assert "No NC values of erm: no features." in text
    assert f"No figure of erm: no features of {HOSTILE}." in text


def test_values_that_do_not_exist_are_null_in_the_json() -> None:
    record = run_record()
    assert record.evaluation is not None
    nothing = replace(record.evaluation, average_precision=[float("nan")] * 4, g_map=float("nan"))
    _, reader = page_of(replace(record, evaluation=nothing))
    found = json.loads(reader.scripts[0])["runs"][0]["evaluation"]
    assert found["g_map"] is None
    assert set(found["average_precision"].values()) == {None}


def test_what_a_person_wrote_into_a_configuration_does_not_stop_the_page() -> None:
    record = run_record()
    config = {"recipe": {"max_lr": float("inf")}, "began": date(2026, 1, 2), "seeds": [1, float("nan")]}
    facts = replace(record.facts, config=config, environment={"torch": float("nan")})
    _, reader = page_of(replace(record, facts=facts))
    run = json.loads(reader.scripts[0])["runs"][0]
    assert run["config"] == {"recipe": {"max_lr": "inf"}, "began": "2026-01-02", "seeds": [1, "nan"]}
    assert run["environment"] == {"torch": "nan"}


def test_long_tables_are_packed_and_very_long_ones_left_out() -> None:
    numbers = pd.DataFrame({"value": range(20_000)})
    uri, name = data_uri(numbers, "angles")
    assert uri.startswith("data:application/gzip;base64,")
    assert name == "angles.csv.gz"
    many = pd.DataFrame({"value": np.random.default_rng(0).random(80_000)})
    assert data_uri(many, "angles") == ("", "")


def test_a_picture_is_svg_or_png_whichever_is_smaller() -> None:
    lines, noise = Figure(figsize=(2, 1)), Figure(figsize=(2, 1))
    # Text is drawn as paths: a picture without any is what SVG is best at.
    axes = lines.subplots()
    axes.plot([0, 1])
    axes.set_axis_off()
    noise.subplots().pcolormesh(np.random.default_rng(0).random((150, 150)), cmap="magma")
    nothing = pd.DataFrame()
    assert image_uri(Drawing(lines, nothing)).startswith("data:image/svg+xml;base64,")
    uri = image_uri(Drawing(noise, nothing))
    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))) as picture:
        assert picture.mode == "P"
        assert picture.size == (400, 200)
