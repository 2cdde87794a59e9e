"""The rows of the MLC-NC study: methods, and MLC-NC with one part taken away or exchanged."""

from __future__ import annotations

from typing import Final

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
