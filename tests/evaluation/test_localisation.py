from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nctools.evaluation.localisation import (
    box_area_share,
    energy_in_box,
    mean_by_class,
    pointing_chance,
    pointing_game,
)

Floats = NDArray[np.float64]
_FINE = 4  # parts of a pixel along each side; corners below are multiples of one


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, Floats, tuple[int, int]]:
    """A map, one to three boxes on quarters of pixels, and the size of the input."""
    size = draw(st.tuples(st.integers(6, 14), st.integers(6, 14)))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    seed = draw(st.integers(0, 10_000))
    values = np.random.default_rng(seed).normal(size=shape)
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        x0, y0 = (draw(st.integers(0, _FINE * (length - 2))) / _FINE for length in (size[1], size[0]))
        x1, y1 = x0 + draw(st.integers(_FINE, 5 * _FINE)) / _FINE, y0 + draw(st.integers(_FINE, 5 * _FINE)) / _FINE
        boxes.append((x0, y0, x1, y1))
    return values, np.array(boxes, dtype=np.float64), size


def enlarged(values: Floats, size: tuple[int, int]) -> Floats:
    found: Floats = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return found


def slow_energy(values: Floats, boxes: Floats, size: tuple[int, int]) -> float:
    """Cut every pixel into parts, and look at the middle of each."""
    positive = enlarged(np.maximum(values, 0), size)
    inside = whole = area = 0.0
    for y in range(size[0] * _FINE):
        for x in range(size[1] * _FINE):
            value = positive[y // _FINE, x // _FINE]
            middle = (x + 0.5) / _FINE, (y + 0.5) / _FINE
            hit = any(x0 <= middle[0] <= x1 and y0 <= middle[1] <= y1 for x0, y0, x1, y1 in boxes)
            whole += value
            inside += value * hit
            area += hit
    return inside / whole if whole > 0 else area / (size[0] * size[1] * _FINE**2)


def slow_pointing(values: Floats, boxes: Floats, size: tuple[int, int], tolerance: float) -> float:
    positive = enlarged(np.maximum(values, 0), size)
    hits = []
    for y, x in np.argwhere(positive >= positive.max() * (1 - 1e-6)) + 0.5:
        nearest = [(min(max(x, x0), x1), min(max(y, y0), y1)) for x0, y0, x1, y1 in boxes]
        hits.append(any(math.dist((x, y), place) <= tolerance for place in nearest))
    return sum(hits) / len(hits)


@settings(max_examples=60)
@given(cases())
def test_energy_equals_its_definition_pixel_by_pixel(case: tuple[Floats, Floats, tuple[int, int]]) -> None:
    values, boxes, size = case
    found = energy_in_box(values[None], [boxes], size)
    np.testing.assert_allclose(found, [slow_energy(values, boxes, size)], atol=1e-9)
    np.testing.assert_allclose(energy_in_box(7 * values[None], [boxes], size), found, atol=1e-12)


@settings(max_examples=60)
@given(cases(), st.sampled_from([0.0, 0.6, 2.5]))
def test_the_pointing_game_equals_its_definition(
    case: tuple[Floats, Floats, tuple[int, int]], tolerance: float
) -> None:
    values, boxes, size = case
    found = pointing_game(values[None], [boxes], size, tolerance=tolerance)
    np.testing.assert_allclose(found, [slow_pointing(values, boxes, size, tolerance)], atol=1e-12)


@given(cases(), st.sampled_from([0.3, 0.0, -2.0]), st.sampled_from([0.0, 1.5]))
def test_a_uniform_map_has_the_level_of_chance(
    case: tuple[Floats, Floats, tuple[int, int]], value: float, tolerance: float
) -> None:
    values, boxes, size = case
    uniform = np.full((1, *values.shape), value)
    share, chance = box_area_share([boxes], size), pointing_chance([boxes], size, tolerance=tolerance)
    np.testing.assert_allclose(energy_in_box(uniform, [boxes], size), share, atol=1e-9)
    np.testing.assert_allclose(pointing_game(uniform, [boxes], size, tolerance=tolerance), chance, atol=1e-12)


@given(cases())
def test_a_map_inside_of_the_box_has_energy_one_and_one_outside_none(
    case: tuple[Floats, Floats, tuple[int, int]],
) -> None:
    _, boxes, size = case
    within = slow_pixels(boxes, size)
    if within.any():
        assert energy_in_box(within[None].astype(float), [boxes], size)[0] == pytest.approx(1)
        assert pointing_game(within[None].astype(float), [boxes], size)[0] == 1
    touched = np.zeros(size, dtype=bool)
    for x0, y0, x1, y1 in boxes:
        touched[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = True
    if not touched.all():
        assert energy_in_box(~touched[None] * 1.0, [boxes], size)[0] == 0
        assert pointing_game(~touched[None] * 1.0, [boxes], size)[0] == 0


def slow_pixels(boxes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that lie wholly inside of one box."""
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None]
    found = np.zeros(size, dtype=bool)
    for x0, y0, x1, y1 in boxes:
        found |= (rows >= y0) & (rows + 1 <= y1) & (columns >= x0) & (columns + 1 <= x1)
    return found


@given(cases())
def test_a_larger_box_never_has_less(case: tuple[Floats, Floats, tuple[int, int]]) -> None:
    values, boxes, size = case
    larger = boxes + np.array([-1, -1, 1, 1])
    for score in (energy_in_box, pointing_game):
        assert score(values[None], [larger], size)[0] >= score(values[None], [boxes], size)[0] - 1e-12


def test_a_box_that_is_given_twice_counts_once() -> None:
    values, box = np.random.default_rng(0).random((1, 4, 4)), np.array([[1.5, 2, 6, 7.25]])
    twice = [np.concatenate([box, box, box + np.array([1, 1, -1, -1])])]
    np.testing.assert_allclose(energy_in_box(values, twice, (8, 8)), energy_in_box(values, [box], (8, 8)))
    assert box_area_share(twice, (8, 8))[0] == pytest.approx(4.5 * 5.25 / 64)


def test_tensors_of_any_float_type_are_taken() -> None:
    maps, boxes = torch.rand(3, 5, 5), [np.array([[0, 0, 9, 9.0]])] * 3
    np.testing.assert_allclose(
        energy_in_box(maps.bfloat16(), boxes, (20, 20)), energy_in_box(maps.numpy(), boxes, (20, 20)), atol=0.01
    )


def test_means_leave_no_class_without_a_pair_at_zero() -> None:
    found = mean_by_class(np.array([1.0, 0.0, 0.25]), np.array([2, 2, 0]), 4)
    np.testing.assert_array_equal(found, [0.25, np.nan, 0.5, np.nan])
    assert np.isnan(mean_by_class(np.zeros(0), np.zeros(0, np.int64), 2)).all()


@pytest.mark.parametrize(
    ("maps", "boxes", "message"),
    [
        (np.zeros((2, 3, 3)), [np.array([[0, 0, 2, 2.0]])], r"shape \[2, 3, 3\] but there are boxes of 1 pairs"),
        (np.zeros((3, 3)), [np.array([[0, 0, 2, 2.0]])], r"shape \[3, 3\] but there are boxes of 1"),
        (np.full((1, 3, 3), np.nan), [np.array([[0, 0, 2, 2.0]])], "not finite in map 0"),
        (np.zeros((1, 3, 3)), [np.zeros((0, 4))], r"pair 0 has boxes of shape \[0, 4\].* 6 x 7 px"),
        (np.zeros((1, 3, 3)), [np.array([[9, 9, 12, 12.0]])], "pair 0 has boxes"),
    ],
)
def test_what_does_not_fit_is_told(maps: Floats, boxes: list[Floats], message: str) -> None:
    for score in (energy_in_box, pointing_game):
        with pytest.raises(ValueError, match=message):
            score(maps, boxes, (6, 7))


def test_a_negative_tolerance_is_told() -> None:
    with pytest.raises(ValueError, match="`tolerance` is -1"):
        pointing_game(np.ones((1, 2, 2)), [np.array([[0, 0, 1, 1.0]])], (4, 4), tolerance=-1)
