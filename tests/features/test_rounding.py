from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nctools.collapse import PairSource, compute_metrics
from nctools.errors import UnknownNameError
from nctools.features import FeatureStore, extract
from nctools.features.batches import FeatureDtype
from nctools.features.rounding import _step, float16_warning, rounding_share
from tests.features.models import Echo, loader

NUM_CLASSES, WIDTH, PER_CLASS = 8, 48, 250
LABELS = torch.arange(NUM_CLASSES).repeat(PER_CLASS)


def clusters(sigma: float, offset: float = 0.0) -> Tensor:
    """Normal clusters around normal class means."""
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(NUM_CLASSES, WIDTH, generator=generator)
    return means[LABELS] + sigma * torch.randn(len(LABELS), WIDTH, generator=generator) + offset


def stored(features: Tensor, folder: Path, dtype: FeatureDtype = "float16") -> FeatureStore:
    data = loader(features, LABELS[: len(features)], batch_size=300)
    return extract(
        Echo(),
        data,
        folder / f"{dtype}.h5",
        layers={"f": "features"},
        dtype=dtype,
        class_names=list("abcdefgh"),
        progress=False,
    )


def nc1(features: Tensor) -> float:
    source = PairSource("single", NUM_CLASSES, WIDTH, lambda: [(features, LABELS, torch.arange(len(LABELS)))])
    return compute_metrics(source, metrics=["nc1_pinv"], groups={}).to_dict()["all"]["nc1_pinv"]


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("sigma", [1.0, 0.1, 0.01, 0.001])
def test_share_is_the_change_of_nc1(sigma: float, offset: float, tmp_path: Path) -> None:
    features = clusters(sigma, offset)
    store = stored(features, tmp_path)
    share = rounding_share(store, "f")
    before, after = nc1(features), nc1(store.features("f"))
    change = after / before - 1
    if share > 1:
        assert change > 1
    else:
        # Rounding also goes along with the features by chance; NC1 sees C - 1 numbers of each pair.
        chance = 5 * 2 * math.sqrt(share / (len(features) * (NUM_CLASSES - 1)))
        assert change == pytest.approx(share / (1 - share), rel=0.25, abs=chance)
    warned = float16_warning(store, "f") is not None
    assert warned == (share > 1e-3)
    assert warned == ((sigma, offset) in {(0.001, 0.0), (0.1, 30.0), (0.01, 30.0), (0.001, 30.0)})


def test_share_is_that_of_the_formula_written_out(tmp_path: Path) -> None:
    features = clusters(0.1, 3.0)[:1500]  # classes of 187 and of 188 pairs
    store = stored(features, tmp_path)
    rounded, labels = features.half().double().numpy(), LABELS[:1500].numpy()
    steps = np.spacing(np.abs(rounded.astype(np.float16))).astype(np.float64)
    per_class = [labels == index for index in range(NUM_CLASSES)]
    rounding = sum((steps[own] ** 2).sum(axis=1).mean() / 12 for own in per_class)
    spread = sum(rounded[own].var(axis=0).sum() for own in per_class)
    assert rounding_share(store, "f") == pytest.approx(rounding / spread, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_step_is_the_distance_of_neighbouring_numbers(dtype: FeatureDtype) -> None:
    values = np.array([1.0, 0.99, -1.5, 2.0, 1e-7, -6e-5, 6.2e-5, 1000.3, 3e-8]).astype(dtype)
    expected = np.abs(np.spacing(values).astype(np.float64))
    assert _step(torch.from_numpy(values).double(), dtype).tolist() == expected.tolist()
    assert _step(torch.zeros(2, dtype=torch.float64), dtype).tolist() == [0, 0]


def test_float32_files_are_not_warned_of_nor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = stored(clusters(0.001, 30.0), tmp_path, "float32")
    assert rounding_share(store, "f") < 1e-6
    monkeypatch.setattr(FeatureStore, "iterate", lambda *_: pytest.fail("the file was read"))
    assert float16_warning(store, "f") is None
    with pytest.raises(UnknownNameError, match="unknown layer 'g'"):
        float16_warning(store, "g")


def test_warning_tells_value_and_mend(tmp_path: Path) -> None:
    warning = float16_warning(stored(clusters(0.001), tmp_path), "f")
    assert warning is not None
    assert "'f' are stored as float16, whose rounding makes about 4.2 % of the spread within" in warning
    assert warning.endswith("extract them again with dtype='float32' (--dtype float32)")


def test_rounding_that_hides_all_spread_is_said(tmp_path: Path) -> None:
    equal = stored(clusters(0.0), tmp_path)
    assert rounding_share(equal, "f") == math.inf
    assert "larger than the spread within the classes" in str(float16_warning(equal, "f"))


def test_single_pairs_and_zeros_say_nothing(tmp_path: Path) -> None:
    single = stored(clusters(0.1)[:NUM_CLASSES], tmp_path)
    assert math.isnan(rounding_share(single, "f"))
    assert float16_warning(single, "f") is None
    (tmp_path / "zero").mkdir()
    dead = stored(torch.zeros(80, WIDTH), tmp_path / "zero")
    assert math.isnan(rounding_share(dead, "f"))
    assert float16_warning(dead, "f") is None
