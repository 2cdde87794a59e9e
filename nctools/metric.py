"""NeuralCollapse: a torchmetrics.Metric over ``nctools.collapse``, for training loops, Lightning and torchrun."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack, cast

import torch
from torch import Tensor, nn

from nctools._torchvision_guard import import_torchvision
from nctools.collapse.compute import compute_metrics
from nctools.collapse.groups import check_groups
from nctools.collapse.pairs import PairSource
from nctools.collapse.result import CollapseResult
from nctools.collapse.statistics import CollapseStatistics
from nctools.errors import UnknownNameError
from nctools.metric_settings import ComputeSettings, Keep, MetricSettings, check_compute_settings, check_wanted
from nctools.metric_state import (
    as_blocks,
    kept_dtype,
    kept_pairs,
    make_form,
    merge_forms,
    merge_moments,
    pack_moments,
    unpack_moments,
    whole_rows,
)

import_torchvision()  # torchmetrics loads it, and it may need the repair

from torchmetrics import Metric  # noqa: E402
from torchmetrics.utilities.distributed import gather_all_tensors  # noqa: E402

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


# What torchmetrics changes during forward().
_FORWARD_FLAGS: Final = ("_update_count", "_to_sync", "_should_unsync", "_enable_grad", "compute_on_cpu", "_is_synced")


class NeuralCollapse(Metric):
    """Neural collapse of the features that pass through a loop: ``update``, ``compute``, ``reset``.

    ``compute`` gives what ``nctools.measure`` gives for all batches together, whatever their sizes and order, over all
    processes. Class sums are float64 and stay so under ``.half()``, ``.to(dtype)`` and ``set_dtype``.

    Memory: with ``keep="features"`` every feature stays, in its own dtype, on the metric's device: N x D numbers (for
    class-wise features one row for each positive label; for shared ones also C bytes for each sample), and after
    gathering over processes each of them holds the rows of all. ``compute_on_cpu=True`` keeps them in CPU memory. With
    ``keep="moments"`` it is C x (2 D + 2) float64 numbers however long the stream is, and the metrics that need a
    second pass over the features (nc1_pinv, NC4) or label sets (mlab) are not available.

    Args:
        num_classes: Number of declared classes C.
        num_features: Width D of the features.
        groups: Named lists of classes; None makes head / medium / tail of the pair counts that ``compute`` finds.
        classifier: For NC3 and NC4: a linear layer, read whenever values are computed, or rows ``[C, D]`` as they are
            now. The layer stays outside: it is no submodule of the metric and not pickled with it.
        metrics: ``"default"``, ``"all"``, one id or a list of ids.
        keep: ``"features"`` or ``"moments"``.
        bias: ``[C]``, beside rows.
        **settings: Those of ``nctools.collapse.compute_metrics`` (``centre``, ``weighting``, ``ddof``, ``scope``,
            ``pairs``, ``convention``, ``precision``, ``min_count``, ``multiplicity``, ``sample_pairs``, ``ood_mean``,
            ``space``, ``split``, ``class_names``) and of ``torchmetrics.Metric``.

    Raises:
        ValueError: If a number, group, setting or the classifier does not fit, or a metric needs what is not kept.
        TypeError: If the classifier is neither a linear layer nor a tensor.
        UnknownNameError: If a metric or setting does not exist.

    Example:
        >>> metric = NeuralCollapse(num_classes=3, num_features=2, groups={"tail": [2]}, metrics="nc2_norm_ratio")
        >>> metric.update(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), torch.tensor([0, 1, 2]))
        >>> {name: round(value.item(), 3) for name, value in metric.compute().items()}
        {'nc2_norm_ratio': 1.0, 'tail/nc2_norm_ratio': 1.243}
    """

    is_differentiable: ClassVar[bool] = False  # type: ignore[misc]
    higher_is_better: ClassVar[None] = None  # type: ignore[misc]
    full_state_update: ClassVar[bool] = False  # type: ignore[misc]

    form: Tensor
    moments: Tensor
    kept_features: list[Tensor]
    kept_labels: list[Tensor]

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        groups: Mapping[str, Sequence[int]] | None = None,
        classifier: nn.Linear | Tensor | None = None,
        metrics: str | Sequence[str] = "default",
        keep: Keep = "features",
        *,
        bias: Tensor | None = None,
        **settings: Unpack[MetricSettings],
    ) -> None:
        for name in settings:
            if name not in MetricSettings.__annotations__:
                raise UnknownNameError("setting of NeuralCollapse", name, MetricSettings.__annotations__)
        own = {name: value for name, value in settings.items() if name in ComputeSettings.__annotations__}
        super().__init__(**{name: value for name, value in settings.items() if name not in own})
        self.num_classes, self.num_features = num_classes, num_features
        empty = pack_moments(CollapseStatistics(num_classes, num_features))
        if keep not in {"features", "moments"}:
            raise ValueError(f"keep is {keep!r}; it is one of 'features', 'moments'")
        self.keep: Keep = keep
        self._settings = cast("ComputeSettings", own)
        check_compute_settings(self._settings)
        check_wanted(metrics, keep)
        self._metrics = metrics if isinstance(metrics, str) else list(metrics)
        self._groups = None if groups is None else check_groups(groups, num_classes)
        self._classifier: tuple[nn.Linear | Tensor, ...] = ()
        self._bias: Tensor | None = None
        self.use_classifier(classifier, bias)
        # First `form`: states that do not go together are refused before anything else is merged.
        self.add_state("form", torch.zeros(2, dtype=torch.int64), dist_reduce_fx=merge_forms)
        self.add_state("moments", empty, dist_reduce_fx=merge_moments)
        if keep == "features":
            self.add_state("kept_features", [], dist_reduce_fx="cat")
            self.add_state("kept_labels", [], dist_reduce_fx="cat")

    def use_classifier(self, classifier: nn.Linear | Tensor | None, bias: Tensor | None = None) -> None:
        """Set the classifier; a metric that was unpickled has lost its linear layer.

        Args:
            classifier: A linear layer, read whenever values are computed; rows ``[C, D]`` as they are now; or None.
            bias: ``[C]``, beside rows.

        Raises:
            ValueError: If it has another number of classes or width, or a bias comes beside a linear layer or alone.
            TypeError: If it is neither a linear layer nor a tensor.
        """
        if classifier is not None and not isinstance(classifier, nn.Linear | Tensor):
            raise TypeError(f"classifier is a {type(classifier).__name__}: give an nn.Linear or rows [C, D]")
        if bias is not None and not isinstance(classifier, Tensor):
            raise ValueError("bias goes with a classifier of rows [C, D]: a linear layer has its own")
        rows = classifier.weight if isinstance(classifier, nn.Linear) else classifier
        if rows is not None and tuple(rows.shape) != (self.num_classes, self.num_features):
            raise ValueError(
                f"classifier has shape {list(rows.shape)}, but there are {self.num_classes} classes of width "
                f"{self.num_features}: it must be [{self.num_classes}, {self.num_features}]"
            )
        # In a tuple, so that torch does not register the layer.
        if isinstance(classifier, Tensor):
            self._classifier = (classifier.detach().clone(),)
        else:
            self._classifier = () if classifier is None else (classifier,)
        self._bias = None if bias is None else bias.detach().clone()
        self._computed = None

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add a batch; after an error the metric is as it was.

        Args:
            features: ``[B, D]``, or ``[B, C, D]`` with one feature for each class; any real dtype and device.
            labels: ``[B]`` class indices, or ``[B, C]`` in {0, 1}.

        Raises:
            ValueError: If shapes do not fit, a label is out of range, a feature is NaN or infinite, or an earlier
                batch was of another kind.
            TypeError: If the features are not real numbers or class indices not integers.
        """
        try:
            self._add(features, labels)
        except Exception:
            self._update_count -= 1  # torchmetrics counts before it calls
            raise

    def compute(self) -> dict[str, Tensor]:
        """Give the values of everything seen since the last reset, over all processes.

        Returns:
            ``{"nc1_pinv": ..., "tail/nc1_pinv": ...}``, float64 without dimension, on the metric's device. NaN where a
            value is not defined.

        Raises:
            ValueError: If there was no pair yet.
        """
        return {
            name if group == "all" else f"{group}/{name}": torch.tensor(value, dtype=torch.float64, device=self.device)
            for group, values in self._measure().to_dict().items()
            for name, value in values.items()
        }

    def result(self) -> CollapseResult:
        """Give the full result; over several processes every one of them must call it.

        Returns:
            Values by group and class, blocks, definitions, warnings.

        Raises:
            ValueError: If there was no pair yet.
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            return self._measure()

    def forward(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Add a batch and give the values of this batch alone; after an error the metric is as it was.

        Args:
            features: As for ``update``.
            labels: As for ``update``.

        Returns:
            As ``compute``, of the batch.
        """
        state, flags = self._copy_state_dict(), {name: self.__dict__[name] for name in _FORWARD_FLAGS}
        try:
            values: dict[str, Tensor] = super().forward(features, labels)
        except Exception:
            self._restore(state)
            self.__dict__.update(flags)
            raise
        return values

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add everything that another metric has seen.

        Args:
            incoming_state: A metric of the same classes, width and ``keep``, or its ``metric_state``.

        Raises:
            ValueError: If it is of another kind.
        """
        state = incoming_state.metric_state if isinstance(incoming_state, Metric) else incoming_state
        found, own = state.get("moments"), list(self.moments.shape)
        shape = list(found.shape) if isinstance(found, Tensor) else found
        if set(state) != set(self._defaults) or shape != own:
            raise ValueError(
                f"cannot merge states {sorted(state)}, moments {shape}, into {sorted(self._defaults)}, moments {own}: "
                "both metrics must have the same classes, width and keep"
            )
        super().merge_state(incoming_state)
        self._update_count += incoming_state.update_count if isinstance(incoming_state, Metric) else 1
        self._computed = None

    @contextmanager
    def sync_context(self, *args: Any, should_unsync: bool = True, **kwargs: Any) -> Iterator[None]:
        """Hold the state of all processes for a while; unlike torchmetrics' own, also given back after an error.

        Args:
            *args: As for ``sync``.
            should_unsync: Whether the state of this process comes back.
            **kwargs: As for ``sync``.

        Yields:
            Nothing.
        """
        self.sync(*args, **kwargs)
        try:
            yield
        finally:
            self.unsync(should_unsync=self._is_synced and should_unsync)

    def _add(self, features: Tensor, labels: Tensor) -> None:
        self._check_shape(features)
        source = PairSource.from_arrays(features, labels, num_classes=self.num_classes)
        new = make_form(source.kind, features.dtype).to(self.form.device)
        form, statistics = merge_forms(torch.stack([self.form, new])), unpack_moments(self.moments)
        kept: list[tuple[Tensor, Tensor]] = []
        for rows, classes, samples in source.batches():
            statistics.update(rows, classes, samples)
            if self.keep == "features" and source.kind != "shared":
                kept.append((rows, classes))
        if self.keep == "features" and source.kind == "shared" and source.targets is not None:
            # Each image once, however many labels it has.
            chosen = source.targets.any(dim=1)
            kept.append((features.detach()[chosen.to(features.device)], source.targets[chosen].to(torch.uint8)))
        moments = pack_moments(statistics).to(self.device)
        moved = [
            (rows.to(self.device, kept_dtype(rows.dtype), copy=True), marks.to(self.device)) for rows, marks in kept
        ]
        # From here on nothing fails.
        self.form, self.moments = form, moments
        for rows, marks in moved:
            self.kept_features.append(rows)
            self.kept_labels.append(marks)

    def _measure(self) -> CollapseResult:
        statistics = unpack_moments(self.moments)
        source: PairSource | CollapseStatistics = statistics
        if not bool(statistics.counts.any()):
            raise ValueError("no pair yet: give update() features with labels before values are asked for")
        part = self._classifier[0] if self._classifier else None
        if self.keep == "features":
            source = kept_pairs(
                as_blocks(self.kept_features),
                as_blocks(self.kept_labels),
                self.form,
                num_classes=self.num_classes,
                num_features=self.num_features,
            )
        return compute_metrics(
            source,
            classifier=part.weight if isinstance(part, nn.Linear) else part,
            bias=part.bias if isinstance(part, nn.Linear) else self._bias,
            groups=self._groups,
            metrics=self._metrics,
            **self._settings,
        )

    def _check_shape(self, features: Tensor) -> None:
        allowed = {(self.num_features,), (self.num_classes, self.num_features)}
        if features.ndim not in {2, 3} or tuple(features.shape[1:]) not in allowed:
            raise ValueError(
                f"features have shape {list(features.shape)}: give [batch, {self.num_features}], "
                f"or [batch, {self.num_classes}, {self.num_features}] with one feature for each class"
            )

    # What follows is where torchmetrics' own way would lose digits, data or the classifier.

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        def moved(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            return result if result.dtype == tensor.dtype else tensor.to(result.device)

        return super()._apply(moved, exclude_state)

    def _sync_dist(
        self, dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors, process_group: ProcessGroup | None = None
    ) -> None:
        state = self._copy_state_dict()
        try:
            if self.keep == "features":
                # A process without data cannot know kind and dtype, and gathering needs the same on all.
                forms = dist_sync_fn(self.form, group=process_group or self.process_group)
                rows, labels = whole_rows(
                    self.kept_features,
                    self.kept_labels,
                    merge_forms(torch.stack(forms)),
                    num_classes=self.num_classes,
                    num_features=self.num_features,
                )
                self.kept_features, self.kept_labels = [rows], [labels]
            super()._sync_dist(dist_sync_fn, process_group)
        except Exception:
            self._restore(state)
            raise

    def _restore(self, state: dict[str, Tensor | list[Any]]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._computed = None

    def _copy_state_dict(self) -> dict[str, Tensor | list[Any]]:
        # No tensor of the state is ever changed in place, so the features need no copy.
        state = self.metric_state
        return {name: list(value) if isinstance(value, list) else value for name, value in state.items()}

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        found, own = state_dict.get(f"{prefix}moments", self.moments), list(self.moments.shape)
        if list(found.shape) != own:
            error_msgs.append(f"{prefix}moments has shape {list(found.shape)}, this metric needs {own}")
            for name in self._defaults:
                state_dict.pop(prefix + name, None)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        for name, default in self._defaults.items():
            value = getattr(self, name)
            setattr(self, name, list(value) if isinstance(default, list) else value.to(self.device))
        self._computed = None
        self._update_count = max(self._update_count, int(self.moments[:, 0].any()))

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # The model's own layer does not travel with the metric.
        own = tuple(part for part in self._classifier if not isinstance(part, nn.Linear))
        return state | {"_classifier": own}

    def __deepcopy__(self, memo: dict[int, Any]) -> NeuralCollapse:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(super().__getstate__() | {"_classifier": ()}, memo))
        # A copied model has a copied layer; a metric that is cloned alone goes on reading the same one.
        twin._classifier = tuple(memo.get(id(part), part) for part in self._classifier)
        return twin
