"""Counts, means and spread of each class from a stream of pairs: shifted float64 sums that merge."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from nctools.collapse.pairs import Array, as_tensor
from nctools.errors import StoreError
from nctools.run_directory import replace_atomically

_BLOCK_ROWS: Final = 1024  # a block of float64 rows that stays in the processor's cache


class CollapseStatistics:
    """Class sums of a stream of (feature, class) pairs.

    Keeps for each class its number of pairs ``n``, a shift ``k`` (its first feature), ``sum(h - k)`` and
    ``sum(||h - k||^2)``, all in float64. Without the shift the spread of nearly collapsed features far from the origin
    would drown in rounding. The result depends on batch size and order by rounding alone.

    Args:
        num_classes: Number of declared classes C.
        num_features: Width D of the features.
        scatter: Keep the D x D scatter of each class, too: C x D x D float64 numbers. With it one pass is enough for
            ``nc1_pinv``, ``nc1_dcdnv`` and ``nc1_vci``.

    Raises:
        ValueError: If a number is less than 1.

    Source:
        Chan, Golub, LeVeque, The American Statistician 1983 (shifted sums and their merging).

    Example:
        >>> statistics = CollapseStatistics(num_classes=3, num_features=2)
        >>> statistics.update(torch.tensor([[0.0, 2.0], [2.0, 2.0], [5.0, 1.0]]), torch.tensor([0, 0, 2]))
        >>> statistics.counts.tolist(), statistics.means.tolist(), statistics.variances().tolist()
        ([2, 0, 1], [[1.0, 2.0], [nan, nan], [5.0, 1.0]], [1.0, nan, 0.0])
    """

    def __init__(self, num_classes: int, num_features: int, *, scatter: bool = False) -> None:
        if num_classes < 1 or num_features < 1:
            raise ValueError(f"num_classes={num_classes}, num_features={num_features}: both must be at least 1")
        self.num_classes, self.num_features = num_classes, num_features
        self.counts = torch.zeros(num_classes, dtype=torch.int64)
        self._shifts = torch.zeros(num_classes, num_features, dtype=torch.float64)
        self._sums = torch.zeros(num_classes, num_features, dtype=torch.float64)
        self._shifted_squares = torch.zeros(num_classes, dtype=torch.float64)
        self._scatters = torch.zeros(num_classes if scatter else 0, num_features, num_features, dtype=torch.float64)

    def __repr__(self) -> str:
        """Tell shape and content.

        Returns:
            ``CollapseStatistics(3 classes, width 2, 3 pairs)``.
        """
        scatter = ", with scatters" if self.has_scatter else ""
        pairs = f"{int(self.counts.sum()):,} pairs"
        return f"CollapseStatistics({self.num_classes} classes, width {self.num_features}, {pairs}{scatter})"

    def update(self, features: Array, classes: Array, samples: Array | None = None) -> None:
        """Add a batch of pairs.

        Args:
            features: ``[m, D]``, NumPy or torch, any real dtype, any device; widened to float64 before any sum.
            classes: ``[m]`` integers from 0 to C - 1.
            samples: ``[m]`` sample of each pair, for messages; None counts rows of the batch.

        Raises:
            ValueError: If shapes do not fit, a class is out of range, or a feature is NaN or infinite; nothing of the
                batch is added then.
            TypeError: If the features are no real numbers or the classes no integers.
        """
        rows, own = as_tensor(features).cpu(), as_tensor(classes).cpu()
        check_pairs(rows, own, self.num_classes, self.num_features)
        names = torch.arange(len(rows)) if samples is None else as_tensor(samples).cpu()
        own = own.to(torch.int64)
        blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, len(rows), _BLOCK_ROWS)]
        for block in blocks:
            _refuse_faults(rows[block], own[block], names[block])
        for block in blocks:
            self._add(rows[block], own[block])

    def merge(self, other: CollapseStatistics) -> None:
        """Add everything that other statistics have seen: those of another worker, rank or part of the data.

        Args:
            other: Statistics of the same classes and width; stays as it is.

        Raises:
            ValueError: If classes or width differ.
        """
        if self.has_scatter != other.has_scatter:
            raise ValueError(
                "one of the statistics keeps scatters and the other does not: make both with the same `scatter`"
            )
        own, theirs = (self.num_classes, self.num_features), (other.num_classes, other.num_features)
        if own != theirs:
            raise ValueError(
                f"cannot merge statistics of {theirs[0]} classes and width {theirs[1]} "
                f"into {own[0]} classes and width {own[1]}: both must be of the same kind"
            )
        new = (self.counts == 0).nonzero().squeeze(1)
        self._shifts[new] = other._shifts[new]
        n_a, n_b = self.counts.double(), other.counts.double()
        apart = other._shifts - self._shifts
        apart[other.counts == 0] = 0
        delta = apart + other._offsets - self._offsets
        if self.has_scatter:
            shares = n_a * n_b / (n_a + n_b).clamp_min(1)
            for index, (share, line) in enumerate(zip(shares.tolist(), delta, strict=True)):
                self._scatters[index] += other._scatters[index]
                self._scatters[index].addr_(line, line, alpha=share)
        squares = self.squares + other.squares + n_a * n_b / (n_a + n_b).clamp_min(1) * delta.square().sum(dim=1)
        self._sums += other._sums + n_b[:, None] * apart
        self.counts += other.counts
        self._shifted_squares = squares + self.counts * self._offsets.square().sum(dim=1)

    @property
    def means(self) -> Tensor:
        """Class means ``[C, D]`` float64; NaN for classes without a pair."""
        return (self._shifts + self._offsets).masked_fill((self.counts == 0)[:, None], torch.nan)

    @property
    def squares(self) -> Tensor:
        """Sum of ``||h - mu_c||^2`` over the pairs of each class, ``[C]`` float64; 0 for classes without a pair."""
        return (self._shifted_squares - self.counts * self._offsets.square().sum(dim=1)).clamp_min(0)

    def variances(self, *, ddof: int = 0) -> Tensor:
        """Give the spread of each class, ``v_c = tr Sigma_c``.

        Args:
            ddof: 0 divides by ``n_c``, 1 by ``n_c - 1``.

        Returns:
            ``[C]`` float64; NaN for classes without a pair, and for single pairs with ``ddof=1``.
        """
        divisors = (self.counts - ddof).double()
        return self.squares / divisors.masked_fill(divisors <= 0, torch.nan)

    @property
    def has_scatter(self) -> bool:
        """True if the scatter of each class is kept."""
        return len(self._scatters) > 0

    @property
    def scatters(self) -> Tensor | None:
        """Sum of ``(h - mu_c)(h - mu_c)^T`` over the pairs of each class ``[C, D, D]`` float64; None if not kept."""
        return self._scatters if self.has_scatter else None

    def save(self, path: str | Path) -> None:
        """Write all sums to a NumPy archive, whole or not at all.

        Args:
            path: File to write (``.npz``).
        """
        with replace_atomically(Path(path)) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {name: value.numpy() for name, value in self.state_dict().items()}
            np.savez(stream, **arrays)

    @staticmethod
    def load(path: str | Path) -> CollapseStatistics:
        """Read what ``save`` wrote.

        Args:
            path: The file.

        Returns:
            The statistics.

        Raises:
            StoreError: If the file is missing, damaged, or holds something else.
        """
        try:
            state = _read_archive(Path(path))
            num_classes, num_features = state["sums"].shape
            statistics = CollapseStatistics(num_classes, num_features, scatter="scatters" in state)
            statistics.load_state_dict(state)
            statistics._check_sums()
        except _UNREADABLE as error:
            raise StoreError(
                f"{path} cannot be read as statistics of CollapseStatistics.save ({' '.join(str(error).split())})"
            ) from error
        return statistics

    def state_dict(self) -> dict[str, Tensor]:
        """Give copies of all sums.

        Returns:
            Name -> tensor, for ``torch.save`` and ``load_state_dict``.
        """
        return {name: getattr(self, attribute).clone() for name, attribute in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over the sums of ``state_dict``.

        Args:
            state: Name -> tensor.

        Raises:
            ValueError: If a tensor is missing or has another shape.
        """
        for name, attribute in self._state().items():
            own = getattr(self, attribute)
            if name not in state or state[name].shape != own.shape:
                found = f"shape {list(state[name].shape)}" if name in state else "nothing"
                raise ValueError(f"state has {found} for {name!r}, these statistics need shape {list(own.shape)}")
        for name, attribute in self._state().items():
            own = getattr(self, attribute)
            setattr(self, attribute, state[name].detach().to("cpu", own.dtype, copy=True))

    def _state(self) -> dict[str, str]:
        # Name in state_dict -> attribute.
        names = {"counts": "counts", "shifts": "_shifts", "sums": "_sums", "squares": "_shifted_squares"}
        return names | ({"scatters": "_scatters"} if self.has_scatter else {})

    def _check_sums(self) -> None:
        wrong = [
            name for name, attribute in self._state().items() if not bool(getattr(self, attribute).isfinite().all())
        ]
        if wrong or bool((self.counts < 0).any()):
            raise ValueError(f"{wrong[0] if wrong else 'counts'} hold what no pairs can give")

    @property
    def _offsets(self) -> Tensor:
        # Class mean minus shift.
        return self._sums / self.counts.clamp_min(1)[:, None]

    def _add(self, features: Tensor, classes: Tensor) -> None:
        self._shift_new_classes(features, classes)
        moved = self._shifts.index_select(0, classes)
        torch.sub(features, moved, out=moved)
        if self.has_scatter:
            self._add_scatters(moved, classes)
        self._sums.index_add_(0, classes, moved)
        self._shifted_squares.index_add_(0, classes, torch.linalg.vecdot(moved, moved))
        self.counts += torch.bincount(classes, minlength=self.num_classes)

    def _add_scatters(self, moved: Tensor, classes: Tensor) -> None:
        # Chan's rule for each class of the block: its own scatter, and what the distance of the means adds.
        for index in classes.unique().tolist():
            rows = moved[classes == index]
            mean, before, added = rows.mean(dim=0), int(self.counts[index]), len(rows)
            apart = mean - self._sums[index] / max(before, 1)
            rows = rows - mean
            self._scatters[index] += rows.T @ rows
            self._scatters[index].addr_(apart, apart, alpha=before * added / (before + added))

    def _shift_new_classes(self, features: Tensor, classes: Tensor) -> None:
        rows = (self.counts[classes] == 0).nonzero().squeeze(1)
        if len(rows) == 0:
            return
        first = torch.full((self.num_classes,), len(features), dtype=torch.int64)
        first.scatter_reduce_(0, classes[rows], rows, "amin")
        new = (first < len(features)).nonzero().squeeze(1)
        self._shifts[new] = features[first[new]].double()


# What NumPy and zipfile raise for files of other kinds and for damaged ones.
_UNREADABLE: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,  # "encrypted", and NotImplementedError for unknown compression
    zipfile.BadZipFile,
)


def _read_archive(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":  # np.load would advise to trust the file
            raise ValueError("it is not a NumPy archive")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as archive:
            state = {name: torch.from_numpy(archive[name]) for name in archive.files}
    if "sums" not in state:
        raise ValueError(f"it holds {', '.join(sorted(state)) or 'nothing'}, and no sums")
    return state


def check_pairs(features: Tensor, classes: Tensor, num_classes: int, num_features: int) -> None:
    """Refuse a batch of pairs that does not fit.

    Args:
        features: ``[m, D]``.
        classes: ``[m]``.
        num_classes: Number of declared classes C.
        num_features: Width D.

    Raises:
        ValueError: If shapes do not fit or a class is out of range.
        TypeError: If the features are no real numbers or the classes no integers.
    """
    if features.ndim != 2 or features.shape[1] != num_features or classes.shape != features.shape[:1]:
        raise ValueError(
            f"features have shape {list(features.shape)} and classes {list(classes.shape)}: "
            f"give [m, {num_features}] and [m]"
        )
    if features.is_complex() or features.dtype == torch.bool:
        raise TypeError(f"features are {features.dtype}: give real numbers")
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise TypeError(f"classes are {classes.dtype}: give integers")
    if len(classes) and not (int(classes.min()) >= 0 and int(classes.max()) < num_classes):
        row = int(((classes < 0) | (classes >= num_classes)).nonzero()[0])
        raise ValueError(
            f"class {int(classes[row])} (pair {row} of the batch) is out of range: "
            f"there are {num_classes} classes, give 0 to {num_classes - 1}"
        )


def _refuse_faults(features: Tensor, classes: Tensor, samples: Tensor) -> None:
    wide = features.double()
    squares = torch.linalg.vecdot(wide, wide)
    if not bool(squares.isfinite().all()):
        raise ValueError(describe_fault(features, classes, samples, squares))


def describe_fault(features: Tensor, classes: Tensor, samples: Tensor, squares: Tensor) -> str:
    """Name the first feature of a batch that cannot be measured.

    Args:
        features: ``[m, D]``.
        classes: ``[m]``.
        samples: ``[m]``.
        squares: Squared lengths ``[m]``, at least one not finite.

    Returns:
        A sentence with value, sample, class and mend.
    """
    wrong = ~features.isfinite()
    if not wrong.any():
        row = int((~squares.isfinite()).nonzero()[0])
        return (
            f"feature of sample {int(samples[row])}, class {int(classes[row])} is too large "
            f"(up to {float(features[row].abs().max()):.3g}): its square overflows float64; scale the features down"
        )
    row, column = (int(index) for index in wrong.nonzero()[0])
    value = float(features[row, column])
    return (
        f"feature of sample {int(samples[row])}, class {int(classes[row])} is {value} in column {column} "
        f"({int(wrong.any(dim=1).sum())} such pairs in its block): repair or leave out these samples"
    )
