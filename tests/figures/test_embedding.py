from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.collapse.nearest_frame import nearest_simplex
from nctools.errors import ConfigError, MissingExtraError, UnknownNameError
from nctools.features import import_arrays
from nctools.features.store import FeatureStore
from nctools.figures import Drawing, embedding_of, save_embedding_page
from nctools.figures.drawn_pairs import drawn_pairs
from nctools.figures.embedding_page import load_plotly

NAMES = ["cat", "dog <b>", "owl"]


def feature_file(
    path: Path, *, width: int = 4, classwise: bool = True, seed: int = 0, names: list[str] = NAMES
) -> Path:
    """60 images of three classes, every image with the first and a rarer one or none."""
    draw = np.random.default_rng(seed)
    labels = np.zeros((60, 3), np.uint8)
    labels[:, 0] = 1
    labels[:12, 1] = labels[10:14, 2] = 1
    features = draw.standard_normal((60, 3, width) if classwise else (60, width)).astype(np.float32)
    source = path.with_suffix(".npz")
    np.savez(source, features=features, labels=labels, class_names=names, ids=[f"image {i}" for i in range(60)])
    with import_arrays(source, path, layer="space"):
        return path


def test_points_are_positive_pairs_and_means_are_those_of_all_pairs(tmp_path: Path) -> None:
    with FeatureStore(feature_file(tmp_path / "a.h5")) as store:
        found = drawn_pairs(store, "space", most=20, seed=0)
        every = store.features("space")
        samples, classes = store.pair_index("space")
        assert found.classes.bincount().tolist() == [8, 8, 4], "the rarest class keeps all of its pairs"
        for feature, own, image in zip(found.features, found.classes, found.images, strict=True):
            row = int(image.removeprefix("image "))
            assert torch.equal(feature, every[(samples == row) & (classes == own)][0])
        assert torch.allclose(found.means[1], every[classes == 1].double().mean(0))
        assert found.vertices is not None
        assert torch.allclose(found.vertices, nearest_simplex(found.means))
        assert found.labels[found.images.index("image 11")] == "cat, dog <b>, owl"


def test_a_feature_that_classes_share_is_one_point_of_the_rarest_class(tmp_path: Path) -> None:
    with FeatureStore(feature_file(tmp_path / "a.h5", classwise=False)) as store:
        found = drawn_pairs(store, "space", most=100, seed=0)
        assert found.classes.bincount().tolist() == [46, 10, 4]
        assert torch.equal(found.features, store.features("space"))
        few = drawn_pairs(store, "space", most=12, seed=0)
        rows = [int(image.removeprefix("image ")) for image in few.images]
        assert torch.equal(few.features, store.features("space")[rows])


def test_vertices_are_left_out_where_the_width_does_not_fit(tmp_path: Path) -> None:
    drawing = embedding_of([feature_file(tmp_path / "a.h5", width=1)])
    assert set(drawing.data["kind"]) == {"point", "mean"}
    assert "etf" in set(embedding_of([feature_file(tmp_path / "b.h5", width=2)]).data["kind"])


def test_runs_have_a_projection_each(tmp_path: Path) -> None:
    paths = [feature_file(tmp_path / f"{name}.h5", width=width, seed=width) for name, width in (("a", 4), ("b", 6))]
    drawing = embedding_of(paths, by="class")
    assert [axes.get_title() for axes in drawing.figure.axes] == ["a.h5 · space", "b.h5 · space"]
    alone = embedding_of(paths[1:]).data
    second = drawing.data[drawing.data["run"] == "b.h5 · space"]
    assert np.allclose(second[["x", "y"]], alone[["x", "y"]])
    points = drawing.data[drawing.data["kind"] == "point"].groupby("run")[["x", "y"]].mean()
    assert np.abs(points.to_numpy()).max() < 1e-5


def test_inputs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    one = feature_file(tmp_path / "a.h5")
    other = feature_file(tmp_path / "b.h5", names=["x", "y", "z"])
    with pytest.raises(ConfigError, match=r"b\.h5 has other classes than .*a\.h5"):
        embedding_of([one, other])
    with pytest.raises(UnknownNameError, match="unknown layer 'spade'; did you mean space"):
        embedding_of([one], space="spade")
    with pytest.raises(ConfigError, match=r"epochs are those of one run directory, not of .*a\.h5"):
        embedding_of([one], epochs="all")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"run has kept no checkpoints/epoch=NNN.pt: train with --set checkpoint"):
        embedding_of([tmp_path / "run"], epochs=[3])
    (tmp_path / "run" / "checkpoints" / "epoch=010.pt").touch()
    with pytest.raises(ConfigError, match=r"no checkpoint of epoch \[3\]; kept are 10"):
        embedding_of([tmp_path / "run"], epochs=[3, 10])


@pytest.fixture
def epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose checkpoints are, in place of weights, the features that they give."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for epoch in (1, 2, 3):
        made = feature_file(tmp_path / f"{epoch}.h5", seed=epoch)
        (folder / f"epoch={epoch:03d}.pt").symlink_to(made)
    monkeypatch.setattr("nctools.figures.embedding.open_features", lambda path: FeatureStore(path.resolve()))
    return tmp_path / "run"


@pytest.mark.parametrize("fit", ["last", "all"])
def test_epochs_have_a_common_projection(epochs: Path, fit: str) -> None:
    drawing = embedding_of([epochs], epochs="all", fit=fit)  # type: ignore[arg-type]
    assert [axes.get_title() for axes in drawing.figure.axes] == ["epoch 1", "epoch 2", "epoch 3"]
    assert len({axes.get_xlim() for axes in drawing.figure.axes}) == 1
    points = drawing.data[drawing.data["kind"] == "point"]
    centres = points.groupby("run")[["x", "y"]].mean().to_numpy()
    assert np.abs(centres.mean(0) if fit == "all" else centres[-1]).max() < 1e-5
    if fit == "last":
        alone = embedding_of([epochs], epochs=[3]).data
        last = drawing.data[drawing.data["run"] == "epoch 3"]
        assert np.allclose(alone[["x", "y"]], last[["x", "y"]], atol=1e-6)
    # The same plane for all: the mean of a class's points lies where the class mean lies.
    rare = drawing.data[(drawing.data["class"] == "owl") & (drawing.data["run"] == "epoch 1")]
    places = rare.groupby("kind")[["x", "y"]].mean()
    assert np.allclose(places.loc["point"], places.loc["mean"], atol=1e-5)


def test_a_umap_is_kept_beside_the_features_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def fake(rows: torch.Tensor, further: torch.Tensor, settings: object, tell: object) -> tuple[object, ...]:
        made.append(len(rows))
        return rows[:, :2].numpy(), further[:, :2].float().numpy(), {}

    monkeypatch.setattr("nctools.features.reduction.lay_out", fake)
    path = feature_file(tmp_path / "train.h5")
    first, second = (embedding_of([path], method="umap", max_points=50, n_neighbours=5) for _ in range(2))
    assert made == [50]
    assert first.data.equals(second.data)
    assert (tmp_path / "train.embeddings.npz").is_file()
    assert first.figure.axes[0].get_xlabel() == "UMAP 1"
    assert set(first.data["kind"]) == {"point", "mean"}, "where the ETF is, a UMAP cannot tell"
    asked = embedding_of([path], method="umap", max_points=50, n_neighbours=5, etf=True)
    assert set(asked.data["kind"]) == {"point", "mean", "etf"}
    assert made == [50], "the kept one serves both"


def test_vertices_are_left_out_of_a_pca_on_request(tmp_path: Path) -> None:
    path = feature_file(tmp_path / "a.h5")
    drawing = embedding_of(path, etf=False)
    assert set(drawing.data["kind"]) == {"point", "mean"}
    assert "nearest ETF" not in [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    with_etf = embedding_of(path).data
    assert drawing.data.equals(with_etf[with_etf["kind"] != "etf"])


def test_a_note_tells_whose_colour_the_points_of_several_classes_have(tmp_path: Path) -> None:
    shared = feature_file(tmp_path / "shared.h5", classwise=False)
    pairs = feature_file(tmp_path / "pairs.h5")

    def notes(*paths: Path) -> list[str]:
        return [text.get_text().replace("\n", " ") for text in embedding_of(paths).figure.texts]

    words = "a point has the colour of its image's rarest class; means are over all images of a class"
    assert notes(shared) == [words]
    assert notes(pairs) == []
    assert notes(pairs, shared) == [f"shared.h5 · space: {words}"]


def test_features_of_one_label_each_have_no_note_and_balanced_ones_are_coloured_by_class(tmp_path: Path) -> None:
    labels = np.arange(90) % 3
    features = np.random.default_rng(0).standard_normal((90, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", features=features, labels=labels, class_names=NAMES)
    figure = embedding_of(tmp_path / "a.npz").figure
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*NAMES, "class mean", "nearest ETF"]
    assert not figure.texts


def page_of(drawing: Drawing, path: Path) -> str:
    return save_embedding_page(drawing, path).read_text(encoding="utf-8")


def test_the_page_tells_images_and_labels_and_loads_nothing(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    names = ["cat", "</script><img src=x onerror=alert(1)>", "owl & co"]
    text = page_of(embedding_of([feature_file(tmp_path / "a.h5", names=names)]), tmp_path / "page.html")
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", text), "no script, style or image from elsewhere"
    assert "onerror=alert(1)>" not in text
    start = text.index("[", text.rindex("Plotly.newPlot("))
    traces, _ = json.JSONDecoder().raw_decode(text[start:])
    hovers = {hover for trace in traces for hover in trace["hovertext"]}
    name = html.escape(names[1])
    assert f"<b>owl &amp; co</b><br>image image 11<br>labels: cat, {name}, owl &amp; co" in hovers
    assert f"<b>{name}</b> class mean" in hovers
    assert text.startswith("<!DOCTYPE html>")


def test_a_page_without_plotly_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MissingExtraError, match=r'an interactive page needs .* plotly.*pip install "nctools\[html\]"'):
        load_plotly()
