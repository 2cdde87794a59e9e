"""What ``print`` shows of a loss: every setting, and what was made of the counts."""

from __future__ import annotations

import inspect

from torch import Tensor, nn

from nctools.losses._class_counts import span

# What the training labels tell: shown as a number of classes, and by what is made of it.
_LABELS = ("class_counts", "cooccurrence")


def shown(module: nn.Module, *derived: str) -> str:
    """Write all arguments of a loss as they came out, then what follows from the counts, for ``extra_repr``.

    Args:
        module: A loss that keeps each argument under its name, or in its ``modifier``.
        *derived: What else to show, for example ``"weights 0.1..1.1"``.

    Returns:
        One line.

    Example:
        >>> from nctools.losses import FocalLoss
        >>> shown(FocalLoss(gamma=1.5))
        "gamma=1.5, scale=1, alpha=None, reduction='mean'"
    """
    holder = getattr(module, "modifier", module)
    names = [name for name in inspect.signature(type(module)).parameters if name not in _LABELS]
    settings = [f"{name}={_text(getattr(module if hasattr(module, name) else holder, name))}" for name in names]
    counts = getattr(module, "class_counts", None)
    return ", ".join([*([] if counts is None else [f"{len(counts)} classes"]), *settings, *derived])


def _text(value: Tensor | float | str | None) -> str:
    if isinstance(value, Tensor):
        return span(value)
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    # Ten digits tell any two settings apart; NumPy's numbers look like Python's.
    return f"{value:.10g}"
