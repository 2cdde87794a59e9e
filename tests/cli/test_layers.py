"""Several layers on the command line: extract, measure with the effective depth, plot."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import nctools
from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command

LAYERS = "stem=backbone.body.stem,block1=backbone.body.block1,block2=backbone.body.block2"


@pytest.fixture
def layered_features(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> Path:
    target = tmp_path / "layers.h5"
    outcome = nctools_command(
        "extract", trained_run.checkpoints / "last.pt", "--layers", LAYERS, "--maps", "mean", "--out", target, "--quiet"
    )
    assert outcome.code == 0, outcome.err
    return target


def test_layers_of_a_checkpoint_are_measured_with_their_effective_depth(
    nctools_command: Command, layered_features: Path, tmp_path: Path
) -> None:
    outcome = nctools_command("measure", layered_features, "--depth-eps", "1", "--json", tmp_path / "nc.json")
    assert outcome.code == 0, outcome.err
    table = outcome.out[outcome.out.index("effective depth") :]
    assert "eps 1)" in table
    assert "layers in this order: stem, block1, block2" in table
    assert [line.split() for line in table.splitlines() if " of 3 " in line] == [
        [group, "1", "of", "3", "stem"] for group in ("all", "head", "medium", "tail")
    ]
    strict = nctools_command("measure", layered_features, "--depth-eps", "0", "--metrics", "nc1_pinv")
    assert "all       none" in strict.out


def test_the_depth_is_printed_unasked_only_where_it_was_measured(
    nctools_command: Command, layered_features: Path
) -> None:
    assert "effective depth (eps 0.02)" in nctools_command("measure", layered_features).out
    assert "effective depth" not in nctools_command("measure", layered_features, "--metrics", "nc1_pinv").out
    alone = nctools_command("measure", layered_features, "--space", "stem", "--depth-eps", "0.1")
    assert alone.code == 0
    assert "effective depth" not in alone.out
    assert "needs two layers or more" in alone.err
    assert nctools_command("measure", layered_features, "--depth-eps", "1.5").code == 2


def test_layers_are_drawn_from_a_feature_file_and_from_saved_results(
    nctools_command: Command, layered_features: Path, tmp_path: Path
) -> None:
    document, table, saved = (tmp_path / name for name in ("document.json", "table.csv", "saved.json"))
    assert nctools_command("measure", layered_features, "--json", document, "--csv", table).code == 0
    nctools.measure(layered_features).save(saved)
    drawn = []
    for place, source in enumerate((layered_features, document, table, saved)):
        target = tmp_path / f"{place}.svg"
        outcome = nctools_command("plot", "layers", source, "-o", target, "--kind", ("map", "lines")[place % 2])
        assert outcome.code == 0, outcome.err
        assert outcome.out.split() == [str(target), str(target.with_suffix(".csv"))]
        drawn.append(pd.read_csv(target.with_suffix(".csv")))
    for other in drawn[1:]:
        pd.testing.assert_frame_equal(drawn[0], other)
    assert drawn[0]["space"].unique().tolist() == ["stem", "block1", "block2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.json", "{", "bad.json cannot be read as JSON"),
        ("bad.json", '{"a": 1}', "bad.json is not an NC result"),
        ("bad.json", '{"command": "measure", "results": [{}, {}]}', "holds 2 results"),
        ("bad.json", '{"command": "measure", "results": [{}]}', "damaged"),
        ("bad.csv", "a,b\n1,2\n", "no column 'space'"),
        ("bad.h5", "no hdf5", "bad.h5"),
    ],
)
def test_a_bad_file_is_one_line_and_code_3(
    name: str, content: str, message: str, nctools_command: Command, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    outcome = nctools_command("plot", "layers", tmp_path / name, "-o", tmp_path / "out.png")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1), outcome.err
    assert message in outcome.err
    assert not (tmp_path / "out.png").exists()


def test_a_metric_that_no_layer_has_is_named(nctools_command: Command, layered_features: Path, tmp_path: Path) -> None:
    outcome = nctools_command("plot", "layers", layered_features, "--metrics", "nc1_pinf", "-o", tmp_path / "x.png")
    assert outcome.code == 2
    assert "did you mean nc1_pinv" in outcome.err


def test_maps_are_refused_unless_reduced(nctools_command: Command, trained_run: RunDirectory, tmp_path: Path) -> None:
    outcome = nctools_command(
        "extract", trained_run.checkpoints / "last.pt", "--layers", LAYERS, "--out", tmp_path / "f.h5", "--quiet"
    )
    assert outcome.code == 3
    assert "--maps mean" in outcome.err


def test_the_depth_can_be_that_of_means_of_another_split(nctools_command: Command, layered_features: Path) -> None:
    outcome = nctools_command("measure", layered_features, "--means-from", layered_features, "--depth-eps", "1")
    assert outcome.code == 0, outcome.err
    assert "effective depth (eps 1)" in outcome.out
    assert "class means come from another split" in outcome.err
