"""The rows of the MLC-NC study, and rows made of others: with another head, with another loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nctools.methods.assembly import argument_names
from nctools.studies.plan import Variant

_PARTS: Final = {"classifier": "random", "train_classifier": True, "concatenate": False}

_ROWS: Final = (
    Variant("mlc_nc", "mlc_nc"),
    Variant("without L_FLA", "mlc_nc", {"fla_weight": 0.0}, paper="fla_weight=0"),
    Variant("without L_FPC", "mlc_nc", {"fpc_weight": 0.0}, paper="fpc_weight=0"),
    Variant("without BEC", "mlc_nc", _PARTS, paper="trainable random classifier without concatenation"),
    Variant(
        "label embedding trainable",
        "mlc_nc",
        {"label_embedding": "trainable"},
        paper="label_embedding=trainable",
    ),
    Variant("label embedding random", "mlc_nc", {"label_embedding": "random"}, paper=None),
    # The width of the features is that of the backbone, whatever suits the data set otherwise.
    Variant("attention cosine", "mlc_nc", {"attention": "cosine", "num_features": None}, paper=None),
    Variant("attention multihead", "mlc_nc", {"attention": "multihead"}, paper=None),
    Variant("class_attention", "class_attention"),
    Variant("erm", "erm"),
)

VARIANTS: Final[dict[str, Variant]] = {variant.name: variant for variant in _ROWS}
"""Name -> row. ``class_attention`` is the control: the same head, all trainable, with binary cross entropy."""

_HEADS: Final = {"class_attention": "class-wise head", "linear": "linear head"}


def with_head(variant: Variant, head: str = "class_attention") -> Variant:
    """Give a variant another head.

    Args:
        variant: The row.
        head: ``"class_attention"`` or ``"linear"``.

    Returns:
        The row with this head, which is in no paper's table; the same row where its method has no choice of heads.

    Example:
        >>> with_head(Variant("erm", "erm")).name, with_head(Variant("mlc_nc", "mlc_nc")).name
        ('erm, class-wise head', 'mlc_nc')
    """
    if "head" not in argument_names(variant.method):
        return variant
    return _changed(variant, f", {_HEADS.get(head, head)}", {"head": head})


def with_loss(variant: Variant, loss: str) -> Variant:
    """Give a variant another loss.

    Args:
        variant: The row of a method that takes a ``loss``.
        loss: Name of the loss.

    Returns:
        The row with this loss, which is in no paper's table.

    Example:
        >>> with_loss(Variant("mlc_nc", "mlc_nc"), "db_focal").name
        'mlc_nc + db_focal'
    """
    return _changed(variant, f" + {loss}", {"loss": loss})


def _changed(variant: Variant, ending: str, settings: dict[str, object]) -> Variant:
    return replace(
        variant,
        name=variant.name + ending,
        settings={**variant.settings, **settings},
        paper=None,
        run_name=variant.run_name and variant.run_name + ending,
    )
