"""The settings of ``NeuralCollapse`` and their checks before any data comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from nctools.collapse.aggregation import PairChoice
from nctools.collapse.catalogue import ALIASES, METRICS, PRESETS
from nctools.collapse.frame import Average
from nctools.collapse.settings import Convention, Scope, check_settings
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
    check_settings(
        settings.get("centre", "class"),
        settings.get("weighting", "class"),
        settings.get("ddof", 0),
        settings.get("scope", "global"),
        settings.get("pairs", "any"),
        settings.get("convention"),
    )


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
        wanted = [need for need in row.needs if need in {"second pass", "label sets"}]
        if keep == "moments" and wanted:
            raise ValueError(f"{name} needs the features ({wanted[0]}), keep='moments' has their sums: keep='features'")
