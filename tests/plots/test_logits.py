from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from nctools.plots.logit_table import QUANTILES, logit_data
from nctools.plots.logits import logit_violins
from tests.plots.layout import clipped_words, overlapping_words


def made_up(num_classes: int, num_images: int = 300, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    targets = generator.random((num_images, num_classes)) < 0.2
    tail = np.linspace(0, 6, num_classes)
    return (generator.standard_normal(targets.shape) - 3 + (7 - tail) * targets).astype(np.float32), targets


def thirds(num_classes: int) -> dict[str, list[int]]:
    third = -(-num_classes // 3)
    parts = [list(range(num_classes))[place * third : (place + 1) * third] for place in range(3)]
    return dict(zip(("head", "medium", "tail"), parts, strict=True))


def table(num_classes: int, runs: int = 1) -> pd.DataFrame:
    return pd.concat(
        [logit_data(f"runs/method_{run}", *made_up(num_classes, seed=run), thirds(num_classes)) for run in range(runs)],
        ignore_index=True,
    )


@pytest.mark.usefixtures("every_style")
@pytest.mark.parametrize(("num_classes", "runs"), [(2, 1), (20, 3), (80, 2), (1000, 5)])
def test_words_neither_overlap_nor_leave_the_figure(num_classes: int, runs: int) -> None:
    figure = logit_violins(table(num_classes, runs))
    assert len(figure.axes) == runs
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


@pytest.mark.usefixtures("every_style")
def test_many_groups_with_long_names_have_the_room_they_need() -> None:
    groups = {f"a group with a long name {i}": [2 * i, 2 * i + 1] for i in range(6)}
    drawn = pd.concat([logit_data(run, *made_up(12), groups) for run in ("a", "b " * 80)])
    figure = logit_violins(drawn)
    assert clipped_words(figure) == []
    assert overlapping_words(figure) == []


def test_numbers_are_those_of_the_logits() -> None:
    logits, targets = made_up(6)
    found = logit_data("run", logits, targets, {"head": [0, 1], "tail": [4, 5]})
    assert found.columns.tolist() == ["run", "group", "labels", "quantity", "at", "value"]
    for group, classes in (("head", [0, 1]), ("tail", [4, 5])):
        for labels, chosen in (("positive", targets), ("negative", ~targets)):
            values = logits[:, classes][chosen[:, classes]]
            rows = found[(found["group"] == group) & (found["labels"] == labels)]
            by_quantity = dict(iter(rows.groupby("quantity")))
            assert by_quantity["number"]["value"].tolist() == [len(values)]
            assert by_quantity["share_above"]["value"].tolist() == [pytest.approx((values > 0).mean())]
            quantiles = by_quantity["quantile"]
            assert quantiles["at"].tolist() == list(QUANTILES)
            np.testing.assert_allclose(quantiles["value"], np.quantile(values, QUANTILES), rtol=1e-5, atol=1e-6)
            density = by_quantity["density"]
            width = density["at"].diff().iloc[1]
            assert density["value"].sum() * width == pytest.approx(1.0, abs=0.01)


def test_unknown_labels_are_neither_positive_nor_negative() -> None:
    logits, targets = made_up(3)
    unknown = ~targets & (np.arange(targets.shape[0]) < 100)[:, None]
    found = logit_data("run", logits, targets, {}, unknown=unknown)
    numbers = found[found["quantity"] == "number"].set_index("labels")["value"]
    assert set(found["group"]) == {"all"}
    assert numbers.to_dict() == {"positive": targets.sum(), "negative": (~targets).sum() - unknown.sum()}


def test_a_logit_far_out_leaves_the_others_their_room() -> None:
    logits, targets = made_up(2, num_images=5000)
    logits[np.flatnonzero(targets[:, 0])[0], 0], logits[np.flatnonzero(~targets[:, 0])[0], 0] = 1e6, -np.inf
    found = logit_data("run", logits, targets, {"head": [0, 1]})
    assert found[found["quantity"] == "density"]["at"].abs().max() < 20
    low, high = logit_violins(found).axes[0].get_ylim()
    assert -20 < low < high < 20


def test_millions_of_logits_are_counted_in_at_most_80_bins() -> None:
    logits = np.random.default_rng(0).standard_normal((20_000, 100)).astype(np.float32)
    found = logit_data("run", logits, np.zeros(logits.shape, dtype=bool), {})
    assert (found["quantity"] == "density").sum() == 80


def test_shares_stand_below_their_group_and_the_threshold_is_a_line() -> None:
    logits = np.array([[2.0, -1.0], [1.0, -2.0], [-3.0, 4.0], [-4.0, 1.0]])
    targets = np.array([[True, True], [True, False], [False, False], [False, False]])
    (axes,) = logit_violins(logit_data("erm", logits, targets, {"head": [0], "tail": [1]})).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["head\n0 | 100", "tail\n67 | 0"]
    assert [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"] == [[0.0, 0.0]]
    assert axes.get_xlabel() == "above 0: % of negatives | % of positives"


def test_medians_and_quartiles_are_drawn() -> None:
    found = table(20)
    (axes,) = logit_violins(found).axes
    drawn = sorted(float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == "-")
    middle = found[(found["quantity"] == "quantile") & found["at"].isin([0.25, 0.5, 0.75])]
    assert drawn == sorted(middle["value"])
    assert len(drawn) == 18


def test_single_labels_have_no_threshold_and_a_group_without_positives_half_a_violin() -> None:
    logits, targets = made_up(4)
    targets[:, 3] = False
    found = logit_data("run", logits, targets, {"head": [0], "tail": [3]}, threshold=None)
    (axes,) = logit_violins(found).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["head", "tail"]
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(axes.collections) == 3
    empty = logit_violins(logit_data("run", logits, targets, {"head": [0], "tail": [3]})).axes[0]
    assert empty.get_xticklabels()[1].get_text().endswith("| none")


def test_constant_logits_are_drawn() -> None:
    constant = logit_data("run", np.full((5, 2), -7.0), np.eye(5, 2, dtype=bool), {})
    assert clipped_words(logit_violins(constant)) == []


def test_shapes_that_differ_are_an_error() -> None:
    logits, targets = made_up(3)
    with pytest.raises(ValueError, match=r"logits have shape \[300, 2\], targets \[300, 3\]"):
        logit_data("run", logits[:, :2], targets, {})
    with pytest.raises(ValueError, match="has 0 rows"):
        logit_violins(logit_data("run", logits, targets, {})[:0])
