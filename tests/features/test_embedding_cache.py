from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.errors import StoreError
from nctools.features import embedding_cache, embeddings_beside, read_embeddings, reduce_once, reduction
from nctools.features.neighbour_layout import LayoutSettings, Points

FEATURES = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for UMAP; holds the seed of each layout that was made."""
    made: list[int] = []

    def fake(
        rows: Tensor, further: Tensor, settings: LayoutSettings, tell: Callable[[str], None]
    ) -> tuple[Points, Points, dict[str, object]]:
        made.append(settings.seed or 0)
        points = rows[:, :2].numpy() + len(made)
        return points, further[:, :2].float().numpy(), {"seed": settings.seed}

    monkeypatch.setattr(reduction, "lay_out", fake)
    return made


def test_a_layout_is_made_once(layouts: list[int], tmp_path: Path) -> None:
    cache, told = embeddings_beside(tmp_path / "train.h5"), list[str]()
    about: dict[str, object] = {"layer": "classwise"}
    first = reduce_once(FEATURES, cache=cache, along=FEATURES[:2], about=about, method="umap")
    again = reduce_once(FEATURES, cache=cache, along=FEATURES[:2], about=about, method="umap", progress=told.append)
    assert layouts == [0]
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.along, again.along)
    assert again.parameters == first.parameters
    assert told == [f"UMAP of these features was kept in {cache}"]
    (kept,) = read_embeddings(cache).values()
    assert kept.parameters["layer"] == "classwise"
    assert kept.method == "umap"


def test_other_features_settings_and_versions_are_other_layouts(
    layouts: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "x.npz"
    changed = FEATURES.clone()
    changed[0, 0] += 1e-3
    once = partial(reduce_once, cache=cache, method="umap")
    for make in (
        partial(once, FEATURES),
        partial(once, changed),
        partial(once, FEATURES, along=FEATURES[:1]),
        partial(once, FEATURES, seed=1),
        partial(once, FEATURES, n_neighbours=5),
        partial(once, FEATURES, min_dist=0.5),
        partial(once, FEATURES, metric="cosine"),
        partial(once, FEATURES, about={"layer": "other"}),
    ):
        before = len(layouts)
        make()
        make()
        assert len(layouts) == before + 1
    monkeypatch.setattr(embedding_cache, "layout_versions", lambda: {"umap-learn": "9"})
    reduce_once(FEATURES, cache=cache, method="umap")
    assert len(layouts) == 9
    assert len(read_embeddings(cache)) == 9


@pytest.mark.parametrize("damage", ["text", "half", "points", "facts"])
def test_a_damaged_cache_is_made_anew(layouts: list[int], tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "x.npz"
    reduce_once(FEATURES, cache=cache, method="umap")
    whole = cache.read_bytes()
    with np.load(cache) as arrays:
        parts = dict(arrays)
    name = next(name for name in parts if name.endswith(damage)) if damage in {"points", "facts"} else ""
    if damage == "text":
        cache.write_text("no archive")
    elif damage == "half":
        cache.write_bytes(whole[: len(whole) // 2])
    else:
        np.savez(cache, **{**parts, name: parts[name][:, None] if damage == "points" else parts[name][:-3]})
    with pytest.raises(StoreError, match=r"x\.npz"):
        read_embeddings(cache)
    reduce_once(FEATURES, cache=cache, method="umap")
    assert len(layouts) == 2
    assert len(read_embeddings(cache)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"], "nothing half written stays"


def test_only_the_latest_are_kept(layouts: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "_MOST_KEPT", 2)
    for seed in (1, 2, 3):
        reduce_once(FEATURES, cache=tmp_path / "x.npz", method="umap", seed=seed)
    assert [found.parameters["seed"] for found in read_embeddings(tmp_path / "x.npz").values()] == [2, 3]


def test_a_cache_that_cannot_be_written_costs_nothing_but_itself(layouts: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    cache = tmp_path / "file" / "x.npz"
    assert len(reduce_once(FEATURES, cache=cache, method="umap", progress=told.append).points) == 40
    assert told[-1].startswith(f"not kept for next time: {cache} cannot be written")


def test_a_pca_is_not_kept(layouts: list[int], tmp_path: Path) -> None:
    found = reduce_once(FEATURES, cache=tmp_path / "x.npz", about={"layer": "a"})
    assert found.explained is not None
    assert found.parameters["layer"] == "a"
    assert not list(tmp_path.iterdir())


def test_a_missing_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no file at .*train\.embeddings\.npz"):
        read_embeddings(embeddings_beside(tmp_path / "train.h5"))
