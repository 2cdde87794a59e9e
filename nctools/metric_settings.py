"""The settings of ``NeuralCollapse`` and their checks before any data comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.catalogue import ALIASES, METRICS, PRESETS
from nctools.collapse.frame import Average
from nctools.collapse.settings import Convention, Precision, Scope, Settings, check_settings
from nctools.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

Keep = Literal["features", "moments"]


class ComputeSettings(TypedDict, total=False):
    """Settings of ``nctools.collapse.compute_metrics``."""

    space: str
    split: str
    class_names: Sequence[str] | None
    centre: Average
    weighting: Average
    ddof: int
    scope: Scope
    pairs: PairChoice
    convention: Convention | None
    precision: Precision
    min_count: int
    multiplicity: int | None
    sample_pairs: int | None
    ood_mean: Tensor | None


class MetricSettings(ComputeSettings, total=False):
    """The same, and what every ``torchmetrics.Metric`` takes."""

    compute_on_cpu: bool
    dist_sync_on_step: bool
    process_group: ProcessGroup | None
    dist_sync_fn: Callable[..., list[Tensor]] | None
    distributed_available_fn: Callable[[], bool] | None
    sync_on_compute: bool
    compute_with_cache: bool


def check_compute_settings(settings: ComputeSettings) -> None:
    """Check the settings before any data comes.

    Args:
        settings: Those of ``compute_metrics``.

    Raises:
        ValueError: If a value is none of its choices.
    """
    asked = Settings(
        centre=settings.get("centre", "class"),
        weighting=settings.get("weighting", "class"),
        ddof=settings.get("ddof", 0),
        scope=settings.get("scope", "global"),
        pairs=settings.get("pairs", "any"),
        precision=settings.get("precision", "auto"),
        min_count=settings.get("min_count", 1),
        multiplicity=settings.get("multiplicity"),
        sample_pairs=settings.get("sample_pairs"),
    )
    check_settings(asked, settings.get("convention"))


def check_wanted(metrics: str | Sequence[str], keep: Keep) -> None:
    """Check that metrics exist and that what is kept is enough for those asked for by name.

    Args:
        metrics: A preset, one id, or a list of ids.
        keep: What the metric keeps of the stream.

    Raises:
        UnknownNameError: If an id does not exist.
        ValueError: If an id needs the features, and only their sums are kept.
    """
    listed = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in listed:
        if name in PRESETS and isinstance(metrics, str):
            continue
        row = METRICS.get(ALIASES.get(name, name))
        if row is None:
            raise UnknownNameError("metric", name, [*METRICS, *PRESETS])
        if keep == "moments" and not row.one_pass:
            raise ValueError(f"{name} needs the features again, keep='moments' has only their sums: keep='features'")
