from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nctools.plots import theme


@pytest.fixture
def figure() -> Figure:
    drawn = theme.new_figure(2.0, 1.0)
    drawn.subplots().plot([0, 1], [1, 0])
    return drawn


@pytest.mark.parametrize(
    ("suffix", "beginning"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_a_figure_is_saved_in_the_format_of_its_suffix_with_its_data_beside(
    figure: Figure, tmp_path: Path, suffix: str, beginning: bytes
) -> None:
    data = pd.DataFrame({"epoch": [0, 5], "value": [1.5, 0.5]})
    written = theme.save_figure(figure, tmp_path / "figures" / f"nc-curves{suffix}", data)
    assert [path.name for path in written] == [f"nc-curves{suffix}", "nc-curves.csv"]
    assert written[0].read_bytes().startswith(beginning)
    pd.testing.assert_frame_equal(pd.read_csv(written[1]), data)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(path.name for path in written)


def test_a_figure_without_data_is_one_file(figure: Figure, tmp_path: Path) -> None:
    assert theme.save_figure(figure, str(tmp_path / "a.pdf")) == [tmp_path / "a.pdf"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]


def test_a_png_has_200_dots_per_inch(figure: Figure, tmp_path: Path) -> None:
    (written,) = theme.save_figure(figure, tmp_path / "a.png")
    header = written.read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (400, 200)


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_the_same_figure_gives_the_same_file(figure: Figure, tmp_path: Path, suffix: str) -> None:
    (first,) = theme.save_figure(figure, tmp_path / f"a{suffix}")
    (second,) = theme.save_figure(figure, tmp_path / f"b{suffix}")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["curves.jpg", "curves", "curves.csv"])
def test_an_unknown_suffix_is_an_error_that_names_the_known_ones(figure: Figure, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*\.png, \.svg, \.pdf"):
        theme.save_figure(figure, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_the_old_files_alone(
    figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pd.DataFrame({"value": [1]})
    old = {path: path.read_bytes() for path in theme.save_figure(figure, tmp_path / "a.png", data)}

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        theme.save_figure(figure, tmp_path / "a.png", pd.DataFrame({"value": [2]}))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_the_usual_groups_keep_their_colours_and_further_ones_get_others() -> None:
    colours = theme.group_colours(["all", "head", "medium", "tail", "birds", "cars", "birds"])
    assert list(colours) == ["all", "head", "medium", "tail", "birds", "cars"]
    assert len(set(colours.values())) == 6
    assert {name: colours[name] for name in theme.GROUP_COLOURS} == theme.GROUP_COLOURS
    assert theme.group_colours(["tail"])["tail"] == theme.GROUP_COLOURS["tail"]


def test_more_groups_than_colours_repeat_colours() -> None:
    colours = theme.group_colours([f"group {i}" for i in range(7)])
    assert colours["group 0"] == colours["group 6"]


def test_the_style_is_never_global() -> None:
    before = dict(matplotlib.rcParams)
    with theme.style():
        assert matplotlib.rcParams["legend.frameon"] is False
    assert dict(matplotlib.rcParams) == before


def test_a_longer_or_larger_text_is_wider() -> None:
    assert theme.text_width("tail", 6) < theme.text_width("tail tail", 6) < theme.text_width("tail tail", 8)
    assert theme.text_width(" ", 6) == 0


def test_dollars_in_a_line_are_letters() -> None:
    assert theme.text_width("$x_$", 6) > theme.text_width("x_", 6)
    assert theme.text_width("$a b$", 6) == pytest.approx(theme.text_width("$b a$", 6))


def test_plots_load_no_pyplot_seaborn_pandas_or_torch() -> None:
    code = "import sys, nctools.plots; print({'matplotlib.pyplot', 'seaborn', 'pandas', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_notebook_shows_a_figure_and_a_drawing_without_pyplot() -> None:
    import pandas as pd

    from nctools.figures import Drawing

    figure = theme.new_figure(2.0, 1.0)
    picture = Drawing(figure, pd.DataFrame())._repr_png_()
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20], "big") == 260
    assert Drawing(Figure(), pd.DataFrame())._repr_png_() is None


def test_names_with_dollar_signs_in_a_legend_are_no_mathematics() -> None:
    figure = theme.new_figure(2.0, 1.0)
    figure.add_subplot().plot([0, 1], label="$x_$")
    legend = figure.legend()
    figure.canvas.draw()
    assert [text.get_text() for text in legend.get_texts()] == ["$x_$"]
