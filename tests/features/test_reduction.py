from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from nctools.features import neighbour_layout, reduce, reduction
from nctools.features.neighbour_layout import LayoutSettings, Points
from nctools.features.principal_axes import principal_axes


def clusters(size: int = 240, width: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows around four means, and the means."""
    draw = torch.Generator().manual_seed(seed)
    means = 4 * torch.randn(4, width, generator=draw)
    return means[torch.arange(size) % 4] + torch.randn(size, width, generator=draw), means


@pytest.mark.parametrize("shape", [(60, 8), (12, 40)])
def test_pca_is_that_of_scikit_learn_up_to_its_signs(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).standard_normal(shape) * np.linspace(3, 1, shape[1]) + 50
    found, expected = reduce(rows), PCA(2, svd_solver="full").fit(rows)
    points = expected.transform(rows)
    signs = np.sign((points * found.points).sum(0))
    assert np.allclose(found.points, points * signs, atol=1e-5)
    assert found.explained == pytest.approx(tuple(expected.explained_variance_ratio_))


def test_axes_keep_their_signs_whatever_the_order_of_rows() -> None:
    rows, means = clusters()
    found, turned = reduce(rows, along=means), reduce(rows.flip(0), along=means)
    assert np.allclose(found.points, turned.points[::-1], atol=1e-5)
    axes = principal_axes(rows, 5).axes
    assert (axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.allclose(axes @ axes.T, torch.eye(5, dtype=torch.float64), atol=1e-10)


def test_rows_projected_along_lie_where_the_same_features_lie() -> None:
    rows, means = clusters()
    alone, found = reduce(rows), reduce(rows, along=torch.cat([rows[:3], means]))
    assert np.array_equal(alone.points, found.points)
    assert np.allclose(found.along[:3], found.points[:3], atol=1e-6)
    assert alone.along.shape == (0, 2)
    assert found.points.dtype == found.along.dtype == np.float32


def test_features_of_width_one_lie_on_a_line() -> None:
    found = reduce(np.array([[1.0], [2.0], [6.0]]))
    assert found.points.tolist() == [[-2, 0], [-1, 0], [3, 0]]
    assert found.explained == (1.0, 0.0)


def test_few_wide_rows_without_a_second_direction_have_zeros_there() -> None:
    found = reduce(torch.outer(torch.tensor([-1.0, 0.0, 1.0]), torch.ones(9)))
    assert found.points[:, 0].tolist() == pytest.approx([-3, 0, 3])
    assert np.abs(found.points[:, 1]).max() < 1e-6


def test_cosine_takes_the_length_away() -> None:
    rows, _ = clusters()
    lengths = torch.linspace(0.1, 9, len(rows))[:, None]
    assert np.allclose(reduce(rows, metric="cosine").points, reduce(rows * lengths, metric="cosine").points, atol=1e-5)


def test_parameters_are_plain_values() -> None:
    rows, _ = clusters()
    recorded = json.loads(json.dumps(reduce(rows).parameters))
    assert recorded["points"] == 240
    assert recorded["width"] == 16
    assert recorded["versions"]["torch"] == str(torch.__version__)


FEATURES = torch.arange(20.0).reshape(10, 2)
HOLED = FEATURES.clone()
HOLED[7, 1] = torch.nan
ZERO = FEATURES.clone()
ZERO[3] = 0


@pytest.mark.parametrize(
    ("features", "settings", "words"),
    [
        (HOLED, {}, r"1 of 10 rows of features hold NaN or infinity, the first is row 7"),
        (torch.ones(6, 3), {}, r"all 6 rows of features are equal"),
        (torch.ones(30, 3), {"method": "umap"}, r"all 30 rows of features are equal"),
        (FEATURES, {"method": "umap"}, r"n_neighbours is 15, but there are only 10 points: take 9 or fewer"),
        (FEATURES, {"method": "tsne"}, r"method is 'tsne': choose 'pca' or 'umap'"),
        (FEATURES, {"metric": "manhattan"}, r"metric is 'manhattan'"),
        (FEATURES, {"neighbours": "some"}, r"neighbours is 'some'"),
        (FEATURES, {"n_neighbours": 1}, r"n_neighbours is 1"),
        (FEATURES, {"min_dist": 1.5}, r"min_dist is 1.5: give 0 to 1"),
        (FEATURES, {"method": "umap", "n_neighbours": 3, "n_jobs": 0}, r"n_jobs is 0"),
        (ZERO, {"metric": "cosine"}, r"row 3 of features is 0 everywhere"),
        (FEATURES, {"along": torch.zeros(2, 3)}, r"along has rows of width 3, but features of width 2"),
        (FEATURES[:1], {}, r"features hold 1 row\(s\)"),
        (torch.zeros(3, 2, 2), {}, r"features has shape \[3, 2, 2\]: give \[rows, width\]"),
    ],
)
def test_what_cannot_be_drawn_is_named(features: Tensor, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reduce(features, **settings)  # type: ignore[arg-type]


def test_a_seed_with_several_threads_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[LayoutSettings] = []

    def fake(
        rows: Tensor, further: Tensor, settings: LayoutSettings, tell: Callable[[str], None]
    ) -> tuple[Points, Points, dict[str, object]]:
        used.append(settings)
        return np.zeros((len(rows), 2), np.float32), np.zeros((len(further), 2), np.float32), {}

    monkeypatch.setattr(reduction, "lay_out", fake)
    rows, _ = clusters()
    with pytest.warns(UserWarning, match=r"n_jobs is 4, .* runs on one for seed 7; seed=None takes several threads"):
        reduce(rows, method="umap", seed=7, n_jobs=4)
    reduce(rows, method="umap", seed=None, n_jobs=4)
    assert [(settings.seed, settings.n_jobs) for settings in used] == [(7, 1), (None, 4)]


def test_many_points_are_narrowed_first_and_very_many_searched_approximately(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []

    def fake(
        rows: Tensor, further: Tensor, settings: object, found: tuple[object, ...], tell: object
    ) -> tuple[int, int]:
        seen.append((rows.shape[1], found[0] is not None))
        return 0, 0

    monkeypatch.setattr(neighbour_layout, "_laid_out", fake)
    monkeypatch.setattr(neighbour_layout, "FULL_WIDTH", 100)
    monkeypatch.setattr(neighbour_layout, "MOST_EXACT", 200)
    settings = LayoutSettings(0, 5, 0.1, 1, "auto")
    facts = [
        neighbour_layout.lay_out(clusters(size, 60)[0], torch.zeros(0, 60), settings, lambda words: None)[2]
        for size in (100, 200, 300)
    ]
    assert seen == [(60, True), (50, True), (60, False)]
    assert [(fact["neighbours"], fact["pca_first"]) for fact in facts] == [
        ("exact", None), ("exact", 50), ("approximate", None),
    ]  # fmt: skip


@pytest.mark.slow
def test_umap_repeats_itself_and_keeps_clusters_and_their_means_together() -> None:
    rows, means = clusters(120)
    told: list[str] = []
    found = reduce(rows, along=means, method="umap", n_neighbours=10, progress=told.append)
    again = reduce(rows, along=means, method="umap", n_neighbours=10)
    assert np.array_equal(found.points, again.points)
    assert np.array_equal(found.along, again.along)
    assert np.array_equal(found.points, reduce(rows, method="umap", n_neighbours=10).points), "rows along move nothing"
    centres = np.stack([found.points[np.arange(120) % 4 == c].mean(0) for c in range(4)])
    nearest = np.linalg.norm(found.along[:, None] - centres, axis=2).argmin(1)
    assert nearest.tolist() == [0, 1, 2, 3]
    assert found.explained is None
    assert found.parameters["neighbours"] == "exact"
    assert json.loads(json.dumps(found.parameters))["versions"]["umap-learn"]
    assert told[0] == "UMAP: exact neighbours of 120 points of width 16"
    duplicates = torch.cat([rows[:40], rows[:40], rows[:40]])
    assert np.isfinite(reduce(duplicates, method="umap", n_neighbours=10).points).all()


@pytest.mark.slow
def test_exact_neighbours_keep_as_many_near_rows_as_umaps_own_search() -> None:
    import umap

    rows, _ = clusters(600)

    def kept(points: Points) -> float:
        near = [torch.cdist(whole, whole).topk(11, largest=False)[1] for whole in (rows, torch.from_numpy(points))]
        return float(
            np.mean([len(set(a) & set(b)) / 11 for a, b in zip(near[0].tolist(), near[1].tolist(), strict=True)])
        )

    ours = reduce(rows, method="umap").points
    theirs = umap.UMAP(n_neighbors=15, random_state=0, n_jobs=1).fit_transform(rows.numpy())
    assert kept(ours) > 0.95 * kept(theirs)
