from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import CenteredNorm, LogNorm, to_rgb

from nctools.plots.theme import NO_VALUE
from nctools.plots.value_colours import cell_words, colour_scale, readable_on


def contrast(first: str, second: tuple[float, ...] | str) -> float:
    """Contrast ratio of WCAG 2.2."""

    def luminance(colour: tuple[float, ...] | str) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]  # type: ignore[arg-type]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["Blues", "Blues_r", "RdBu", "cividis", "gray"])
def test_words_stand_out_on_every_colour_of_every_scale(name: str) -> None:
    grounds = [tuple(colour) for colour in matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]]
    assert min(contrast(readable_on(ground), ground) for ground in grounds) > 3.8
    assert contrast(readable_on(NO_VALUE), NO_VALUE) > 3.8


def test_a_limit_between_the_values_is_the_middle_of_the_scale() -> None:
    norm, _, note = colour_scale("nc2_mean_angle_deg", np.array([80.0, 95.0]), 20)
    assert isinstance(norm, CenteredNorm)
    assert float(norm(np.array([93.0186]))[0]) == pytest.approx(0.5, abs=1e-4)
    assert (norm.vmin, norm.vmax) == pytest.approx((80.0, 106.034), abs=1e-3)
    assert note == "→ 93.02 at collapse (white)"


def test_nc1_is_logarithmic_also_of_one_value_and_with_zeros_and_infinities() -> None:
    norm, _, note = colour_scale("nc1_cdnv", np.array([[0.0, 0.1], [np.inf, 10.0]]), None)
    assert isinstance(norm, LogNorm)
    assert (norm.vmin, norm.vmax) == (0.1, 10.0)
    assert note.endswith("log scale")
    alone, _, _ = colour_scale("nc1_cdnv", np.array([2.0]), None)
    assert (alone.vmin, alone.vmax) == (1.0, 4.0)


def test_values_are_written_with_three_digits() -> None:
    assert [cell_words(value) for value in (0.00123456, 93.0186, 12345.6, float("inf"))] == [
        "0.00123", "93", "12346", "inf",
    ]  # fmt: skip
