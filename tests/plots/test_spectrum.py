from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nctools.plots import spectrum_data, spectrum_lines
from tests.plots.layout import clipped_words, overlapping_words

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def pair(num_classes: int, width: int, seed: int = 0) -> Pair:
    generator = np.random.default_rng(seed)
    between = np.zeros(min(num_classes, width))
    kept = min(num_classes - 1, width)
    between[:kept] = np.sort(10 ** generator.normal(0, 0.3, kept))[::-1]
    return between, np.sort(10 ** generator.normal(-2, 2, width))[::-1]


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(("num_classes", "width"), [(2, 1), (2, 16), (20, 512), (80, 20), (1000, 2048)])
@pytest.mark.parametrize("runs", [1, 3])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, width: int, runs: int) -> None:
    groups = ("all", "head", "medium", "tail")[: 1 + 3 * (runs == 1)]
    spectra = {
        f"run {i} · classwise": {group: pair(num_classes, width, i + place) for place, group in enumerate(groups)}
        for i in range(runs)
    }
    for weighting in ("class", "sample"):
        figure = spectrum_lines(spectra, dict.fromkeys(spectra, num_classes), weighting=weighting)
        assert len(figure.axes) == 2 * runs
        assert clipped_words(figure) == []
        assert overlapping_words(figure) == []


def test_lines_are_the_eigenvalues_above_their_cumulative_share() -> None:
    spectra = {"erm": {"all": (np.array([3.0, 1.0, 0.0]), np.array([2.0, 1.0, 1.0]))}}
    upper, lower = spectrum_lines(spectra, {"erm": 3}).axes
    drawn = [[np.asarray(line.get_xydata()).tolist() for line in axes.lines[1:]] for axes in (upper, lower)]
    assert drawn[0] == [[[1, 3], [2, 1]], [[1, 2], [2, 1], [3, 1]]]  # 0 has no place on a log axis
    assert drawn[1] == [[[1, 0.75], [2, 1]], [[1, 0.5], [2, 0.75], [3, 1]]]
    assert [line.get_linestyle() for line in upper.lines[1:]] == ["-", "--"]
    assert (upper.get_xscale(), upper.get_yscale(), lower.get_yscale()) == ("log", "log", "linear")


def test_the_rank_c_minus_1_is_marked_also_beyond_the_width() -> None:
    spectra = {"erm": {"all": pair(20, 64)}, "mlc": {"all": pair(80, 20)}}
    figure = spectrum_lines(spectra, {"erm": 20, "mlc": 80})
    for axes, rank in zip(figure.axes, (19, 79, 19, 79), strict=True):
        assert np.asarray(axes.lines[0].get_xdata()).tolist() == [rank, rank]
        assert axes.get_xlim()[1] > 79
    notes = [axes.texts[0].get_text() for axes in figure.axes[:2]]
    assert [note.split(", ")[0] for note in notes] == ["C − 1 = 19", "C − 1 = 79"]


def test_the_note_is_the_ratio_of_the_traces() -> None:
    between, within = pair(20, 64)
    text = spectrum_lines({"erm": {"all": (between, within)}}, {"erm": 20}).axes[0].texts[0].get_text()
    assert float(text.split(" = ")[-1]) == pytest.approx(within.sum() / between.sum(), rel=5e-3)
    alone = spectrum_lines({"erm": {"all": (np.zeros(1), within)}}, {"erm": 1}).axes[0]
    assert alone.texts[0].get_text() == "C − 1 = 0"


def test_the_axis_reaches_eight_decades_down_at_most() -> None:
    spectra = {"erm": {"all": (np.array([10.0, 0.0]), np.array([1.0, 1e-14]))}}
    low, high = spectrum_lines(spectra, {"erm": 2}).axes[0].get_ylim()
    assert (low, high) == pytest.approx((1e-7 / 1.25, 12.5))


def test_groups_have_their_colours_and_a_line_in_the_legend() -> None:
    spectra = {"erm": {"all": pair(20, 8), "head": pair(6, 8), "tail": pair(8, 8)}}
    figure = spectrum_lines(spectra, {"erm": 20})
    assert [line.get_color() for line in figure.axes[0].lines[1::2]] == ["#262626", "#0072B2", "#D55E00"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][3:] == ["all", "head", "tail"]


def test_the_weighting_stands_in_label_and_formula() -> None:
    spectra = {"erm": {"all": pair(20, 8)}}
    by_class, by_pair = (spectrum_lines(spectra, {"erm": 20}, weighting=w) for w in ("class", "sample"))
    assert by_class.axes[0].get_ylabel() == "eigenvalue\n(every class alike)"
    assert by_pair.axes[0].get_ylabel() == "eigenvalue\n(every pair alike)"
    assert "{n_c}" in by_class.texts[0].get_text()
    assert r"\frac{1}{N}" in by_pair.texts[0].get_text()


def test_a_collapsed_run_is_drawn() -> None:
    upper, lower = spectrum_lines({"a": {"all": (np.array([1.0, 0.0]), np.zeros(3))}}, {"a": 2}).axes
    assert len(np.asarray(upper.lines[2].get_xdata())) == len(np.asarray(lower.lines[2].get_xdata())) == 0
    spectrum_lines({"a": {"all": (np.zeros(1), np.zeros(1))}}, {"a": 1}).draw_without_rendering()


def test_the_data_list_every_eigenvalue() -> None:
    spectra = {"erm": {"all": pair(20, 64), "head": pair(5, 64)}, "mlc": {"all": pair(20, 8)}}
    data = spectrum_data(spectra)
    assert data.columns.tolist() == ["run", "group", "scatter", "rank", "eigenvalue", "cumulative_share"]
    assert len(data) == (20 + 64) + (5 + 64) + (8 + 8)
    head = data[(data["group"] == "head") & (data["scatter"] == "between")]
    assert head["rank"].tolist() == [1, 2, 3, 4, 5]
    assert head["eigenvalue"].tolist() == spectra["erm"]["head"][0].tolist()
    assert head["cumulative_share"].iloc[-1] == pytest.approx(1.0)
    assert spectrum_data({"a": {"all": (np.ones(1), np.zeros(2))}})["cumulative_share"].isna().tolist() == [
        False, True, True,
    ]  # fmt: skip


def test_what_does_not_fit_is_an_error() -> None:
    good = pair(3, 4)
    with pytest.raises(ValueError, match="no run"):
        spectrum_data({})
    with pytest.raises(ValueError, match="run 'a' have the groups head, and no 'all'"):
        spectrum_data({"a": {"head": good}})
    for wrong in (good[1][::-1], np.array([1.0, -1.0]), np.array([np.nan]), np.ones((2, 2)), np.empty(0)):
        with pytest.raises(ValueError, match=rf"within eigenvalues of all in 'a' have shape \[{wrong.shape[0]}"):
            spectrum_data({"a": {"all": (good[0], wrong)}})
    with pytest.raises(ValueError, match="no number of classes for a"):
        spectrum_lines({"a": {"all": good}}, {})
