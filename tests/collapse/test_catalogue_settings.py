"""The settings that a row of the catalogue names are those that change its numbers."""

from __future__ import annotations

import pytest
import torch

from nctools.collapse.catalogue import METRICS, Kind
from nctools.collapse.compute import compute_metrics
from nctools.collapse.pairs import PairSource

KINDS: tuple[Kind, ...] = ("single", "classwise", "shared")
CHANGES: dict[str, object] = {
    "centre": "sample", "weighting": "sample", "ddof": 1, "scope": "within", "pairs": "within", "sample_pairs": 40,
}  # fmt: skip
# For these, scope="within" changes only groups that have a single present class.
ALONE = {"nc2_equinorm_cov_w", "minority_angle_w", "nc5_ood_orthogonality", "feature_norm", "mlab_binary_agreement"}
# The smallest angle of a group may lie inside it.
BY_CHANCE = {"nc2_min_angle_deg", "nc2_min_angle_deg_w"}


def values(kind: Kind, **settings: object) -> dict[str, dict[str, float]]:
    """Measure everything on features with some noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (200,), generator=generator)
    sets = torch.rand(200, 5, generator=generator) < torch.tensor([0.6, 0.5, 0.4, 0.3, 0.2])
    present = torch.nn.functional.one_hot(labels, 5) if kind == "single" else sets
    features = present.double() @ torch.eye(5, 8).double() + torch.randn(200, 8, generator=generator).double()
    if kind == "classwise":
        features = features[:, None] + torch.randn(200, 5, 8, generator=generator).double()
    source = PairSource.from_arrays(
        features, labels if kind == "single" else sets.long(), num_classes=5 if kind == "single" else None
    )
    result = compute_metrics(
        source,
        metrics="all",
        classifier=torch.randn(5, 8, generator=generator),
        bias=torch.randn(5, generator=generator),
        groups={"first": [0, 1, 2], "last": [3, 4]},
        ood_mean=torch.randn(8, generator=generator),
        **settings,  # type: ignore[arg-type]
    )
    return result.to_dict()


def changed(kind: Kind, setting: str) -> set[str]:
    """Metrics of which some group gets another value."""
    before, after = values(kind), values(kind, **{setting: CHANGES[setting]})
    return {
        name
        for name in before["all"]
        if any(before[group][name] != pytest.approx(after[group][name], rel=1e-9, nan_ok=True) for group in before)
    }


@pytest.mark.parametrize("setting", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_setting_changes_the_metrics_that_name_it_and_no_others(kind: Kind, setting: str) -> None:
    found = changed(kind, setting)
    named = {name for name, metric in METRICS.items() if setting in metric.settings and kind in metric.kinds}
    assert found <= named
    assert named - found <= ALONE | BY_CHANCE
