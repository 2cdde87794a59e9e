"""The methods by name: title, paper, one line. A literal table that loads without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nctools.errors import UnknownNameError

# In what a method differs from the baseline: its sampling, its loss, its training, its head, or collapse as a goal.
MethodKind = Literal["baseline", "sampling", "loss", "two stages", "head", "collapse"]


@dataclass(frozen=True)
class MethodEntry:
    """One row of the table of methods.

    Args:
        name: Public name, the same in Python, on the command line and in checkpoints.
        title: Name as the literature writes it.
        source: Paper, venue, year.
        summary: One line: parts and loss.
        builder: ``"module:Class"`` of the method.
        kind: In what it differs from the baseline.
    """

    name: str
    title: str
    source: str
    summary: str
    builder: str
    kind: MethodKind = "loss"


METHODS: dict[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            name="erm",
            title="Empirical risk minimisation",
            source="the plain baseline of every comparison",
            summary="backbone, mean over positions, linear classifier, binary cross entropy, uniform sampling",
            builder="nctools.methods.erm:ERM",
            kind="baseline",
        ),
        MethodEntry(
            name="rs",
            title="RS",
            source="class-aware sampling: Shen et al., ECCV 2016",
            summary="ERM with class-aware sampling",
            builder="nctools.methods.rs:RS",
            kind="sampling",
        ),
        MethodEntry(
            name="rw",
            title="RW",
            source="re-weighting as in the DB paper's comparison",
            summary="ERM with class weights sqrt(n_min / n_c)",
            builder="nctools.methods.rw:RW",
        ),
        MethodEntry(
            name="focal",
            title="Focal loss",
            source="Lin et al., ICCV 2017",
            summary="focal loss, uniform sampling",
            builder="nctools.methods.focal:Focal",
        ),
        MethodEntry(
            name="cb_focal",
            title="CB-Focal",
            source="Cui et al., CVPR 2019; multi-label as in the DB paper",
            summary="focal loss weighted by the effective number of images, uniform sampling",
            builder="nctools.methods.cb_focal:CBFocal",
        ),
        MethodEntry(
            name="ldam",
            title="LDAM",
            source="Cao et al., NeurIPS 2019; multi-label form chosen here",
            summary="binary cross entropy with larger margins for rare classes, uniform sampling",
            builder="nctools.methods.ldam:LDAM",
        ),
        MethodEntry(
            name="asl",
            title="ASL",
            source="Ridnik et al., ICCV 2021",
            summary="asymmetric loss, uniform sampling",
            builder="nctools.methods.asl:ASL",
        ),
        MethodEntry(
            name="p_asl",
            title="P-ASL",
            source="Ben-Baruch et al., CVPR 2022",
            summary="asymmetric loss that leaves out the likeliest of the entries not annotated, uniform sampling",
            builder="nctools.methods.p_asl:PASL",
        ),
        MethodEntry(
            name="hill",
            title="Hill loss",
            source="Zhang et al., 2021, arXiv 2112.07368",
            summary="loss for missing labels: negatives that look like positives count little, uniform sampling",
            builder="nctools.methods.hill:Hill",
        ),
        MethodEntry(
            name="db",
            title="DB",
            source="Wu et al., ECCV 2020",
            summary="distribution-balanced loss: re-balanced weights, tolerant negatives, class-aware sampling",
            builder="nctools.methods.db:DB",
        ),
        MethodEntry(
            name="db_focal",
            title="DB-Focal",
            source="Wu et al., ECCV 2020",
            summary="distribution-balanced focal loss, class-aware sampling",
            builder="nctools.methods.db_focal:DBFocal",
        ),
        MethodEntry(
            name="two_way",
            title="Two-way loss",
            source="Kobayashi, CVPR 2023",
            summary="positives ranked above negatives within images and within classes, uniform sampling",
            builder="nctools.methods.two_way:TwoWay",
        ),
        MethodEntry(
            name="mfm",
            title="MFM",
            source="Zhang et al., COMIC, ICCV 2023",
            summary="asymmetric loss with class-wise focus on negatives (COMIC's loss alone), uniform sampling",
            builder="nctools.methods.mfm:MFM",
        ),
        MethodEntry(
            name="pseudo_label",
            title="Pseudo-Label",
            source="Lee, ICML Workshop 2013; as a baseline in COMIC, ICCV 2023",
            summary="two stages: ERM, then ERM from scratch with labels added where the first is sure",
            builder="nctools.methods.pseudo_label:PseudoLabel",
            kind="two stages",
        ),
        MethodEntry(
            name="lws",
            title="LWS",
            source="Kang et al., ICLR 2020 (learnable weight scaling)",
            summary="two stages: ERM, then one factor for each class, class-aware sampling",
            builder="nctools.methods.lws:LWS",
            kind="two stages",
        ),
        MethodEntry(
            name="class_attention",
            title="Class-wise attention control",
            source="nctools: MLC-NC's head without its collapse terms",
            summary="the class-wise attention head of MLC-NC, all of it trainable, with binary cross entropy",
            builder="nctools.methods.class_attention:ClassAttention",
            kind="head",
        ),
        MethodEntry(
            name="mlc_nc",
            title="MLC-NC",
            source="Tao et al., AAAI 2025, doi 10.1609/aaai.v39i19.34298",
            summary="ETF label embeddings, feature-label alignment, collapse calibration, fixed ETF classifier",
            builder="nctools.methods.mlc_nc:MLCNC",
            kind="collapse",
        ),
    )
}


def method_entry(name: str) -> MethodEntry:
    """Look a method up; ``mlc-nc`` and ``mlc_nc`` are the same name.

    Args:
        name: Public name of the method.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such method; near misses are listed.

    Example:
        >>> method_entry("mlc-nc").title
        'MLC-NC'
    """
    key = name.replace("-", "_").lower()
    if key not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[key]
