"""The losses by name: what they are, their formula, source, and settings for the published data. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nctools.errors import UnknownNameError

Setting = float | int | bool | str | None
# Sampling that a loss was published with; "any" where it says nothing about it.
LossSampler = Literal["uniform", "class_aware", "any"]


@dataclass(frozen=True)
class LossEntry:
    """One row of the table of losses.

    Args:
        name: Public name, the same in ``nctools.losses.build`` and on the command line.
        title: Name as the literature writes it.
        summary: What it changes in the binary cross entropy, one line.
        formula: What is summed: z logit, y target, p = sigmoid(z), n_c positives of class c, N images,
            sp(x) = log(1 + e^x).
        source: Paper, venue, year.
        builder: ``"module:Class"``.
        function: Its pure function in ``nctools.losses``.
        needs: What it is made from, of ``"class_counts"``, ``"num_images"`` and ``"cooccurrence"``.
        sampler: Sampling that belongs to it.
        settings: Settings that make the class this loss.
        settings_for: Data set -> settings that suit it.
        reduction: Reduction where none is given.
    """

    name: str
    title: str
    summary: str
    formula: str
    source: str
    builder: str
    function: str
    needs: tuple[str, ...] = ()
    sampler: LossSampler = "any"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    settings_for: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    reduction: str = "mean"


_DB = "nctools.losses.distribution_balanced:DistributionBalancedLoss"
_DB_SOURCE = "Wu et al., Distribution-Balanced Loss, ECCV 2020"
_DB_WEIGHT = "w_ic = alpha + sigmoid(beta (r_ic - mu)), r_ic = (1/n_c) / sum_{j: y_ij = 1} 1/n_j"
_DB_TOLERANT = "s = z + kappa log(n_c / (N - n_c))"
_COMIC_SOURCE = "Zhang et al., COMIC, ICCV 2023"
_WEIGHTS = {"voc_lt": {"mu": 0.3}, "coco_lt": {"mu": 0.2}}
_TOLERANT = {"voc_lt": {"lambd": 5.0}, "coco_lt": {"lambd": 2.0}}
_BOTH = {"voc_lt": {"mu": 0.3, "lambd": 5.0}, "coco_lt": {"mu": 0.2, "lambd": 2.0}}

LOSSES: dict[str, LossEntry] = {
    entry.name: entry
    for entry in (
        LossEntry(
            name="bce",
            title="Binary cross entropy",
            summary="every class a yes-or-no question of its own; nothing about frequencies",
            formula="bce = y sp(-z) + (1 - y) sp(z)",
            source="standard",
            builder="nctools.losses.bce:BinaryCrossEntropyLoss",
            function="bce_loss",
        ),
        LossEntry(
            name="rw",
            title="RW: class-weighted binary cross entropy",
            summary="weights classes by the inverse (root) of their frequency, positives and negatives alike",
            formula="w_c bce, w_c = (n_min / n_c)^(1/2)",
            source="re-weighting as in the DB paper's comparison (weights: its code)",
            builder="nctools.losses.reweighted:ReweightedBCELoss",
            function="reweighted_bce_loss",
            needs=("class_counts", "num_images"),
            sampler="uniform",
        ),
        LossEntry(
            name="focal",
            title="Focal loss",
            summary="takes weight from entries that are classified well already",
            formula="scale (1 - p_t)^gamma bce, p_t = p if y = 1 else 1 - p",
            source="Lin et al., ICCV 2017; gamma 2, scale 2 as in DB's configurations",
            builder="nctools.losses.focal:FocalLoss",
            function="focal_loss",
            settings={"scale": 2.0},
        ),
        LossEntry(
            name="cb_bce",
            title="Class-balanced binary cross entropy",
            summary="weights by the inverse effective number of images of a class",
            formula="scale bce / mean_{c: y_ic = 1} (1 - beta^n_c) / (1 - beta)",
            source="Cui et al., CVPR 2019; multi-label form and scale 10, its loss weight: supplement of the DB paper",
            builder="nctools.losses.class_balanced:ClassBalancedLoss",
            function="class_balanced_loss",
            needs=("class_counts",),
            sampler="uniform",
            settings={"scale": 10.0},
            settings_for={"voc_lt": {"beta": 0.99}, "coco_lt": {"beta": 0.9}},
        ),
        LossEntry(
            name="cb_focal",
            title="CB-Focal",
            summary="the class-balanced weight on the focal loss",
            formula="scale (1 - p_t)^gamma bce / mean_{c: y_ic = 1} (1 - beta^n_c) / (1 - beta)",
            source=(
                "Cui et al., CVPR 2019; multi-label form: supplement of the DB paper; scale 20: the factor 2 of DB's "
                "configurations times the loss weight 10"
            ),
            builder="nctools.losses.class_balanced:ClassBalancedLoss",
            function="class_balanced_loss",
            needs=("class_counts",),
            sampler="uniform",
            settings={"gamma": 2.0, "scale": 20.0},
            settings_for={"voc_lt": {"beta": 0.99}, "coco_lt": {"beta": 0.9}},
        ),
        LossEntry(
            name="ldam",
            title="LDAM",
            summary="asks positives of rare classes for a larger margin",
            formula="y sp(-(z - D_c)) + (1 - y) sp(z), D_c = D_max (n_min / n_c)^(1/4)",
            source="Cao et al., NeurIPS 2019; multi-label form chosen here",
            builder="nctools.losses.ldam:LDAMLoss",
            function="ldam_loss",
            needs=("class_counts",),
            sampler="uniform",
        ),
        LossEntry(
            name="asl",
            title="ASL",
            summary="focuses negatives harder than positives, and drops the easiest negatives",
            formula="y (1-p)^g+ (-log p) + (1-y) p_m^g- (-log(1 - p_m)), p_m = max(p - clip, 0)",
            source="Ridnik et al., ICCV 2021",
            builder="nctools.losses.asymmetric:AsymmetricLoss",
            function="asymmetric_loss",
            reduction="sum",
        ),
        LossEntry(
            name="p_asl",
            title="P-ASL",
            summary="ASL with a third kind of entry, not annotated, the likeliest of which are left out",
            formula="ASL, and for entries not annotated w p_m^g_u (-log(1 - p_m)), w = 0 for the likeliest of a batch",
            source="Ben-Baruch et al., CVPR 2022",
            builder="nctools.losses.partial_asymmetric:PartialAsymmetricLoss",
            function="partial_asymmetric_loss",
            reduction="sum",
        ),
        LossEntry(
            name="hill",
            title="Hill loss",
            summary="forgives negatives that the network is sure are positives: for labels that are missing",
            formula="y (1-p')^gamma (-log p') + (1-y) (lambda - p) p^2, p' = sigmoid(z - m)",
            source="Zhang et al., Simple and Robust Loss Design for Multi-Label Learning with Missing Labels, 2021",
            builder="nctools.losses.hill:HillLoss",
            function="hill_loss",
            reduction="sum",
        ),
        LossEntry(
            name="r_bce",
            title="R-BCE",
            summary="weights each entry by what class-aware sampling over-draws because labels occur together",
            formula=f"w bce, {_DB_WEIGHT}",
            source=_DB_SOURCE,
            builder=_DB,
            function="distribution_balanced_loss",
            needs=("class_counts", "num_images"),
            sampler="class_aware",
            settings={"kappa": 0.0, "lambd": 1.0},
            settings_for=_WEIGHTS,
        ),
        LossEntry(
            name="nt_bce",
            title="NT-BCE",
            summary="stops pushing negatives down once they are low enough for their class",
            formula=f"y sp(-s) + (1-y) (1/lambda) sp(lambda s), {_DB_TOLERANT}",
            source=_DB_SOURCE,
            builder=_DB,
            function="distribution_balanced_loss",
            needs=("class_counts", "num_images"),
            settings={"rebalance": False},
            settings_for=_TOLERANT,
        ),
        LossEntry(
            name="db",
            title="DB",
            summary="R-BCE's weights on NT-BCE's tolerant negatives",
            formula=f"w (y sp(-s) + (1-y) (1/lambda) sp(lambda s)), {_DB_WEIGHT}, {_DB_TOLERANT}",
            source=_DB_SOURCE,
            builder=_DB,
            function="distribution_balanced_loss",
            needs=("class_counts", "num_images"),
            sampler="class_aware",
            settings_for=_BOTH,
        ),
        LossEntry(
            name="db_focal",
            title="DB-Focal",
            summary="DB with the focal factor",
            formula=(
                "scale sigmoid(u)^gamma w (y sp(u) + (1-y) (1/lambda) sp(u)), u = -s if y = 1 else lambda s, "
                f"{_DB_WEIGHT}, {_DB_TOLERANT}"
            ),
            source=_DB_SOURCE,
            builder=_DB,
            function="distribution_balanced_loss",
            needs=("class_counts", "num_images"),
            sampler="class_aware",
            settings={"gamma": 2.0, "scale": 2.0},
            settings_for=_BOTH,
        ),
        LossEntry(
            name="two_way",
            title="Two-way loss",
            summary="ranks positives above negatives within each image and within each class",
            formula="sp(T- log sum_{y=0} e^(z/T-) + T+ log sum_{y=1} e^(-z/T+)), over the rows and over the columns",
            source="Kobayashi, CVPR 2023",
            builder="nctools.losses.two_way:TwoWayLoss",
            function="two_way_loss",
            reduction="mean over rows + mean over columns",
        ),
        LossEntry(
            name="mfm",
            title="MFM",
            summary="ASL whose negatives are focused harder the rarer their class",
            formula="ASL with g+ + w+ G_c and g- + w- G_c, G_c = (1 - ln(n_c / n_max))^beta",
            source=f"{_COMIC_SOURCE}, eq. 4-6",
            builder="nctools.losses.multi_focal_modifier:MultiFocalModifierLoss",
            function="multi_focal_modifier_loss",
            needs=("class_counts",),
            reduction="sum",
        ),
        LossEntry(
            name="mfm_prior",
            title="MFM with label prior",
            summary="MFM that expects less of labels which the image's other labels foretell",
            formula=(
                "G_c MFM with p (1 - s_ic) for p at positives, min(1, 1.2 (1 - p_m)) for 1 - p_m at negatives with "
                "s_ic > 0; s_ic: share of c among labels that occur with y_i"
            ),
            source=f"{_COMIC_SOURCE}: released code only (PriorFocalModifierLoss)",
            builder="nctools.losses.prior_focal_modifier:PriorFocalModifierLoss",
            function="prior_focal_modifier_loss",
            needs=("class_counts", "cooccurrence"),
            reduction="sum",
        ),
        LossEntry(
            name="rlc",
            title="RLC: reflective label corrector",
            summary="takes confident predictions for missing labels and trains on them; call it with epoch=, too",
            formula="(B / N_t) MFM(z, t), t = y or p > max(tau, P_c), N_t positives of t, n_c counted with t",
            source=f"{_COMIC_SOURCE}, eq. 2-3",
            builder="nctools.losses.label_correction:ReflectiveLabelCorrectorLoss",
            function="corrected_labels",
            needs=("class_counts",),
            reduction="sum",
        ),
        LossEntry(
            name="pick_all_labels",
            title="Pick-all-labels cross entropy",
            summary="softmax cross entropy for each positive of an image: what multi-label collapse was proved for",
            formula="sum_{c: y_ic = 1} -log softmax(z_i)_c",
            source="Li et al., Neural Collapse in Multi-label Learning with Pick-all-label Loss, ICML 2024",
            builder="nctools.losses.pick_all_labels:PickAllLabelsLoss",
            function="pick_all_labels_loss",
        ),
        LossEntry(
            name="kpos",
            title="Softmax cross entropy over k positives",
            summary="pick-all-labels with targets y / sum y: each image counts once",
            formula="-(1/k_i) sum_{c: y_ic = 1} log softmax(z_i)_c, k_i positives of image i",
            source="Mahajan et al., ECCV 2018; DB's code",
            builder="nctools.losses.pick_all_labels:PickAllLabelsLoss",
            function="pick_all_labels_loss",
            settings={"normalise": True},
        ),
    )
}


def loss_entry(name: str) -> LossEntry:
    """Look a loss up; ``db-focal`` and ``db_focal`` are the same name.

    Args:
        name: A key of ``LOSSES``.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such loss; near misses are listed.

    Example:
        >>> loss_entry("db-focal").title
        'DB-Focal'
    """
    key = name.replace("-", "_").lower()
    if key not in LOSSES:
        raise UnknownNameError("loss", name, LOSSES)
    return LOSSES[key]
