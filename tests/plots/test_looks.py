"""A style is chosen for a block of code; it changes letters and resolution, never the content."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from nctools.errors import UnknownNameError
from nctools.plots import looks, theme
from nctools.plots.variants import variant_scores
from tests.plots.layout import words


def drawn() -> Figure:
    scores = {"variant": ["a", "a", "class b"], "group": ["all", "tail", "all"], "seed": 0, "value": [60.0, 41.5, 5.0]}
    return variant_scores(pd.DataFrame(scores))


def fonts(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    return {text.get_fontfamily()[0] for text in words(figure)}


def test_a_style_holds_inside_its_block_only_also_after_an_error() -> None:
    before = dict(matplotlib.rcParams)
    seen = []

    def fail() -> None:
        with looks.use_style("paper"), looks.style():
            seen.append((looks.chosen_style(), list(matplotlib.rcParams["font.family"])))
            with looks.use_style("screen"):
                seen.append((looks.chosen_style(), []))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert seen == [("paper", ["STIXGeneral", "DejaVu Sans"]), ("screen", [])]
    assert looks.chosen_style() == "screen"
    assert dict(matplotlib.rcParams) == before


def test_an_unknown_style_is_an_error_that_names_both() -> None:
    with pytest.raises(UnknownNameError, match="unknown style 'papers'; did you mean paper"), looks.use_style("papers"):  # type: ignore[arg-type]
        pass


def test_letters_of_a_paper_are_stix_wherever_the_figure_is_drawn_later() -> None:
    with looks.use_style("paper"):
        figure = drawn()
    assert fonts(figure) == {"STIXGeneral"}
    assert fonts(drawn()) == {"DejaVu Sans"}


def test_both_styles_have_the_same_words_and_size() -> None:
    screen = drawn()
    with looks.use_style("paper"):
        paper = drawn()
    assert [text.get_text() for text in words(paper)] == [text.get_text() for text in words(screen)]
    assert tuple(paper.get_size_inches()) == tuple(screen.get_size_inches())


def test_text_is_measured_as_it_is_drawn() -> None:
    text = "Images of a class, most frequent first"
    with looks.use_style("paper"), looks.style():
        figure = theme.new_figure(5, 1)
        label = figure.text(0.1, 0.5, text, fontsize=theme.font_size(7.0))
        assert_width_fits(label, theme.text_width(text, 7.0))
    assert theme.text_width(text, 7.0) > theme_width_on_paper(text)


def assert_width_fits(label: Text, measured: float) -> None:
    figure = label.get_figure(root=True)
    assert figure is not None
    width = label.get_window_extent().width / figure.dpi * 72
    assert measured == pytest.approx(width, rel=0.02)


def theme_width_on_paper(text: str) -> float:
    with looks.use_style("paper"):
        return theme.text_width(text, 7.0)


def test_a_png_of_a_paper_has_300_dots_per_inch_wherever_it_is_saved(tmp_path: Path) -> None:
    with looks.use_style("paper"):
        figure = theme.new_figure(2.0, 1.0)
    (written,) = theme.save_figure(figure, tmp_path / "a.png")
    header = written.read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (600, 300)


def test_up_to_six_series_have_colours_of_their_own_and_none_of_a_group() -> None:
    for number in (1, 6, 7, 12):
        colours = theme.series_colours([f"run {i}" for i in range(number)])
        assert len(set(colours.values())) == number
        assert not set(colours.values()) & set(theme.GROUP_COLOURS.values())
