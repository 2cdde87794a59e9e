from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import nctools.figures
from nctools.errors import ConfigError
from nctools.figures import Drawing
from nctools.report.pictures import pictures_of
from nctools.report.sections import SECTIONS, Section, draw
from tests.report.cases import run_record

ROWS = {section.id: section for section in SECTIONS}


def test_every_row_names_a_function_of_figures_and_explains_itself() -> None:
    assert len(ROWS) == len(SECTIONS)
    for section in SECTIONS:
        assert callable(getattr(nctools.figures, section.function)), section.id
        assert section.reading.endswith("."), section.id
        assert not section.alt.endswith("."), section.id


def test_maps_are_made_by_the_first_method_that_all_runs_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def only_gradients(folders: list[Path], *, method: str, **_: object) -> Drawing:
        tried.append(method)
        if method != "gradcam":
            raise ConfigError(f"no {method} here")
        return Drawing(Figure(), pd.DataFrame({"run": [str(folder) for folder in folders]}))

    monkeypatch.setattr(nctools.figures, "class_maps_of", only_gradients)
    drawn = draw(ROWS["class-maps"], [run_record("a"), run_record("b")])
    assert tried == ["attention", "cam", "gradcam"]
    assert list(drawn.data["run"]) == [str(Path("runs/a")), str(Path("runs/b"))]


def test_the_distribution_is_drawn_of_the_training_labels() -> None:
    drawn = draw(ROWS["distribution"], [run_record()])
    assert {120, 40, 12, 3} <= set(drawn.data["value"])
    with pytest.raises(ConfigError, match="training labels are not known"):
        draw(ROWS["distribution"], [replace(run_record(), training=None)])


def test_a_figure_that_fails_is_told_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_by_one(folders: list[Path]) -> Drawing:
        if len(folders) > 1:
            raise ConfigError("runs have other classes")
        return Drawing(Figure(figsize=(1, 1)), pd.DataFrame({"value": [1]}))

    def broken(_: list[Path]) -> Drawing:
        raise ZeroDivisionError("a mistake")

    rows = (replace(ROWS["angles"]), Section("broken", "scores", "Broken", "So.", "curves_of", "Nothing"))
    monkeypatch.setattr("nctools.report.pictures.SECTIONS", rows)
    monkeypatch.setattr(nctools.figures, "angles_of", one_by_one)
    monkeypatch.setattr(nctools.figures, "curves_of", broken)
    told: list[str] = []
    found = pictures_of([run_record("a"), run_record("b")], tell=told.append)
    assert [picture.runs for picture in found] == [["a"], ["b"], ["a", "b"]]
    assert [picture.missing for picture in found] == ["", "", "ZeroDivisionError: a mistake"]
    assert [picture.data_name for picture in found[:2]] == ["angles-a.csv", "angles-b.csv"]
    assert told == ["drawing: angles between class means", "drawing: broken"]


def test_the_plane_of_the_features_is_that_of_plot_embedding() -> None:
    # With fewer points than ``nctools plot embedding`` the shares of variance would be others.
    assert ROWS["embedding"].options == {"method": "pca"}
