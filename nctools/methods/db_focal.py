"""DB-Focal: the distribution-balanced loss with the focal factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Unpack

from nctools.methods.argument_types import Positive, Weight
from nctools.methods.db import DB
from nctools.methods.loss_method import NetworkArguments, suited
from nctools.methods.method import Argument, Method


class BalanceArguments(NetworkArguments, total=False):
    """Arguments of ``DB``, which ``DBFocal`` hands on to it."""

    class_counts: Sequence[int]
    num_images: int
    alpha: Weight
    beta: Weight
    mu: Weight | None
    lambd: Positive
    kappa: Weight
    variant: Literal["paper", "released"]


class DBFocal(DB):
    """``DB`` whose entries are weighted down where they are classified well already.

    Args:
        num_classes: Number of classes ``C``.
        gamma: Focal exponent; the factor is of the shifted and scaled argument.
        scale: Factor of all entries, 2 in the released configurations.
        **balance: Arguments of ``DB``.

    Example:
        >>> method = DBFocal(2, class_counts=[50, 2], num_images=100, backbone="small")
        >>> method.criterion.gamma, method.criterion.scale
        (2.0, 2.0)

    Source:
        Wu et al., ECCV 2020.
    """

    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = suited("db_focal", Method.arguments_for)

    def __init__(
        self, num_classes: int, *, gamma: Weight = 2.0, scale: Positive = 2.0, **balance: Unpack[BalanceArguments]
    ) -> None:
        self._focus = gamma, scale  # before the criterion is made
        super().__init__(num_classes, **balance)
