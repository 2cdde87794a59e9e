"""Blocks, values of classes and spectra: from feature files and saved results to a drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nctools
from nctools.collapse import PairSource
from nctools.collapse.spectra import scatter_spectra
from nctools.errors import ConfigError, NctoolsError
from nctools.features.exchange import import_arrays
from nctools.figures import blocks_of, per_class_of, spectrum_of

COUNTS = (120, 110, 60, 30, 12, 5)
LABELS = torch.repeat_interleave(torch.arange(6), torch.tensor(COUNTS))


def features(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 8, generator=generator)[LABELS] + 0.3 * torch.randn(len(LABELS), 8, generator=generator)


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    paths = []
    for seed, name in enumerate(("one", "two")):
        arrays = tmp_path / f"{name}.npz"
        np.savez(arrays, features=features(seed).numpy(), labels=LABELS.numpy())
        import_arrays(arrays, tmp_path / f"{name}.h5").close()
        paths.append(tmp_path / f"{name}.h5")
    return paths


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "nc.json"
    nctools.measure(features(0), LABELS, metrics=["nc1_pinv", "nc2_angle_deviation"]).save(path)
    return path


def test_blocks_are_measured_and_equal_those_of_the_result(stores: list[Path]) -> None:
    drawing = blocks_of(stores)
    assert drawing.data["run"].unique().tolist() == ["one.h5 · features", "two.h5 · features"]
    assert drawing.data["metric"].unique().tolist() == ["nc1_cdnv", "nc2_mean_angle_deg"]
    expected = nctools.measure(features(1), LABELS, metrics=["nc1_cdnv"]).blocks["nc1_cdnv"]
    own = drawing.data[(drawing.data["run"] == "two.h5 · features") & (drawing.data["metric"] == "nc1_cdnv")]
    found = own.pivot(index="group_i", columns="group_j", values="value")
    np.testing.assert_allclose(found.loc[expected.index, expected.columns], expected)
    assert "→ 101.5 at collapse" in drawing.figure.axes[2].texts[1].get_text()


def test_blocks_of_a_saved_result_are_those_it_has(saved: Path, stores: list[Path]) -> None:
    assert blocks_of([saved]).data["metric"].unique().tolist() == ["nc2_angle_deviation"]
    mixed = blocks_of([saved, stores[0]], metrics=["nc2_max_angle"])  # another name of nc2_angle_deviation
    first, second = (own["value"].to_numpy() for _, own in mixed.data.groupby("run"))
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_a_group_without_a_class_is_no_row(tmp_path: Path) -> None:
    many = LABELS < 4
    nctools.measure(features(0)[many], LABELS[many], metrics=["nc1_cdnv"]).save(tmp_path / "nc.json")
    assert blocks_of([tmp_path / "nc.json"]).data["group_i"].unique().tolist() == ["head", "medium"]


def test_values_of_classes_are_drawn_against_their_counts(stores: list[Path], saved: Path) -> None:
    drawing = per_class_of([*stores, saved], metrics=["nc1_pinv"])
    assert drawing.data["n"].tolist() == list(COUNTS) * 3
    measured = nctools.measure(features(0), LABELS, metrics=["nc1_pinv"]).per_class["nc1_pinv"]
    for run in ("one.h5 · features", "nc.json · features"):
        own = drawing.data[drawing.data["run"] == run]
        np.testing.assert_allclose(own["value"], measured, rtol=1e-6)
        assert own["group"].tolist() == ["head"] * 2 + ["medium"] * 2 + ["tail"] * 2
    assert drawing.figure.axes[0].get_xlabel() == "training images of the class"
    assert per_class_of(stores).data["metric"].nunique() == 3


def test_the_counts_of_another_split_are_called_so(tmp_path: Path) -> None:
    nctools.measure(features(0), LABELS, metrics=["nc1_pinv"], split="test").save(tmp_path / "nc.json")
    assert per_class_of([tmp_path / "nc.json"]).figure.axes[0].get_xlabel() == "test images of the class"


@pytest.mark.parametrize("weighting", ["class", "sample"])
def test_spectra_are_those_of_the_features(stores: list[Path], weighting: str) -> None:
    drawing = spectrum_of(stores, weighting=weighting, by_group=True)  # type: ignore[arg-type]
    assert drawing.data["group"].unique().tolist() == ["all", "head", "medium", "tail"]
    source = PairSource.from_arrays(features(1), LABELS)
    groups = {"head": [0, 1], "medium": [2, 3], "tail": [4, 5]}
    for group, expected in scatter_spectra(source, groups, weighting=weighting).items():  # type: ignore[arg-type]
        own = drawing.data[(drawing.data["run"] == "two.h5 · features") & (drawing.data["group"] == group)]
        for scatter in ("between", "within"):
            values = own["eigenvalue"][own["scatter"] == scatter]
            np.testing.assert_allclose(values, getattr(expected, scatter), rtol=1e-6, atol=1e-12)
    assert spectrum_of(stores).data["group"].unique().tolist() == ["all"]


def test_what_cannot_be_drawn_is_an_error(stores: list[Path], saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nc.json has no nc1_cdnv in space features \(it has nc1_pinv, nc2_angle_de"):
        blocks_of([saved], metrics=["nc1_cdnv"])
    with pytest.raises(ConfigError, match=r"nc.csv is a table: values of classes and blocks are only in the .json"):
        per_class_of([tmp_path / "nc.csv"])
    with pytest.raises(ValueError, match=r"no blocks in one.h5 · features: measure a metric of pairs"):
        blocks_of(stores[:1], metrics=["nc1_pinv"])
    for draw in (blocks_of, per_class_of, spectrum_of):
        with pytest.raises(NctoolsError, match="nowhere"):
            draw(stores, space="nowhere")
