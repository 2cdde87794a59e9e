"""MLC-NC: long-tailed multi-label classification through the lens of neural collapse (Tao et al., AAAI 2025).

Reads like the paper's method section: ETF label embeddings guide class-wise attention (EGFL, eq. for L_FLA), each
class's feature is projected and pulled to its class centre of the last epoch (FPC, L_FPC), and a fixed ETF classifier
on the concatenated projections is trained with the two-way loss (BEC). Where the paper and the authors' released code
differ, ``variant`` chooses; the paper is the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

from torch import Tensor

from nctools.losses.catalogue import loss_entry
from nctools.losses.collapse_calibration import collapse_calibration_loss
from nctools.losses.feature_label_alignment import feature_label_alignment_loss
from nctools.methods.argument_types import LabelChoice, LossChoice, LossSettings, Number, Positive, Share, Weight, Width
from nctools.methods.chosen_loss import ChosenLossMethod
from nctools.methods.label_choice import chosen_labels
from nctools.methods.loss_choice import TWO_WAY_TEMPERATURE, build_chosen, settings_in_full
from nctools.methods.loss_method import CLASSWISE_LAYERS
from nctools.methods.method import CLASS_AWARE, CLASS_AWARE_FOR, PRETRAINED, Argument
from nctools.methods.recipe import Recipe
from nctools.models.backbones import build_backbone
from nctools.models.class_centres import ClassCentres
from nctools.models.classifiers import ClassifierRows, ClasswiseClassifier, FixedETFClassifier
from nctools.models.classwise_head import RELEASED_WIDTH, AttentionKind, ClasswiseHead
from nctools.models.output import Anchors, Output

# What is not given: as in the paper, or as in the authors' code.
_OF_VARIANT: Mapping[str, Mapping[str, object]] = {
    "paper": {"attention": "cosine", "fpc_weight": 0.2, "train_classifier": False},
    "released": {"attention": "multihead", "fpc_weight": 0.1, "train_classifier": True},
}


class MLCNC(ChosenLossMethod):
    """The full MLC-NC method.

    ``L = fla_weight L_FLA + fpc_weight L_FPC + L_TW``; in the first ``warmup_epochs`` only ``L_FLA``, with weight 1.

    Every part can be taken away or exchanged, for ablations: ``fla_weight=0`` is "without L_FLA", which leaves nothing
    to minimise in the warm-up, so there is none then; ``fpc_weight=0`` is "without L_FPC"; ``classifier="random"``,
    ``train_classifier=True`` and ``concatenate=False`` together are the "trainable random classifier without
    concatenation". For that one the paper gives no formula. Chosen here: each class's logit comes from its own
    projected feature, ``h_i^c = gamma <mu_i^c, w_c>``, with rows ``w_c`` of width ``p`` that start as normal vectors of
    unit length; gamma and the two-way loss stay. The classifier then reads one feature for each class, so the space
    ``"penultimate"`` is ``[B, C, p]``, with those rows as its anchors.

    The head and the collapse terms go with any classification loss: ``loss="db_focal"`` puts that one, made from the
    training labels and with ``reduction="batchmean"`` where it has reductions, in the place of L_TW.

    Args:
        num_classes: Number of classes ``C``.
        backbone: ``"small"`` or any timm name.
        pretrained: Start from timm's ImageNet weights, or from the weights in this file.
        variant: ``"paper"`` or ``"released"`` (the authors' code): sets what is not given among ``attention``,
            ``fpc_weight``, ``train_classifier``, the normalisation of L_FPC and the kind of class centres.
        attention: ``"cosine"`` (paper; width of the backbone, no parameters) or ``"multihead"`` (released).
        num_features: Width ``D`` of the class-wise features; None takes the backbone's (cosine) or 768 (multihead).
        num_heads: Heads of the multihead attention.
        dropout: Dropout of the multihead attention.
        label_embedding: ``"etf"``, ``"trainable"``, ``"random"``, or ``"text:FILE"``: vectors out of a file (see
            ``nctools.data.label_vectors``), and a trained linear map to ``D`` where their width is another.
        projection_features: Width ``p`` of the projected class-wise features.
        scale: Start of the classifier's learnable scale gamma.
        fla_weight: Weight of L_FLA (alpha in the paper).
        fla_reduction: ``"mean"`` over images and classes (paper), or ``"sum_classes"``: ``C`` times as large.
        fpc_weight: Weight of L_FPC (beta): None is 0.2 (paper) or 0.1 (released).
        fpc_temperature: Both temperatures of L_FPC.
        loss: The classification loss, a name of ``nctools.losses.LOSSES`` but ``"rlc"``.
        loss_settings: Its settings, as text: ``"gamma=1,scale=2"``; ``"voc_lt"`` stands for those that were published
            for that data set, ``"voc_lt,lambd=3"`` for these with a change. None: those of the loss's class, and mu of
            R-BCE, DB and DB-Focal by the training labels. A configuration for a data set takes what was published.
        two_way_temperature: Temperature ``T`` of the two-way loss; for other losses see ``loss_settings``.
        train_classifier: Train the classifier instead of keeping the ETF; None is False (paper) or True (released).
        classifier: Rows of the classifier: ``"etf"``, or ``"random"``: normal vectors of unit length.
        concatenate: Whether each logit reads all classes' projected features, joined (paper), or its own class's alone.
        warmup_epochs: Epochs in which only L_FLA is minimised; none where its weight is 0.
        seed: Seed of classifier and label embeddings.
        class_names: Names of the classes, which the vectors of a file are matched to; the data tell them.
        label_vectors: ``[C, d]`` in place of those of the file; a checkpoint has them.
        class_counts: Training positives of each class, for losses that need them; the data tell them.
        num_images: Number of training images, likewise.
        cooccurrence: ``[C, C]`` training images that hold both classes, likewise.

    Raises:
        ValueError: If there is no such variant, or a temperature is given to a loss that has none of that name.

    Example:
        >>> import torch
        >>> method = MLCNC(20, backbone="small", attention="multihead", num_features=32)
        >>> output = method(torch.zeros(2, 3, 48, 48))
        >>> sorted(method.loss(output, torch.eye(20)[:2], epoch=9))
        ['loss', 'loss_fla', 'loss_fpc', 'loss_two_way']
    """

    feature_layers: Mapping[str, str] = CLASSWISE_LAYERS
    # fla_weight 0.5 with the sum over classes: with the mean over 20 classes the term is too weak to be seen.
    arguments_for: ClassVar[Mapping[str, Mapping[str, Argument]]] = {
        "digits_lt": {
            "backbone": "small",
            "attention": "multihead",
            "num_features": 128,
            "scale": 10.0,
            "fla_reduction": "sum_classes",
            "fpc_weight": 0.1,
            "warmup_epochs": 3,
        },
        **PRETRAINED,
    }
    recipe: ClassVar[Recipe] = CLASS_AWARE
    recipe_for: ClassVar[Mapping[str, Recipe]] = CLASS_AWARE_FOR

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet50",
        pretrained: bool | str = False,
        variant: Literal["paper", "released"] = "paper",
        attention: AttentionKind | None = None,
        num_features: Width | None = None,
        num_heads: Width = 8,
        dropout: Share = 0.1,
        label_embedding: LabelChoice = "etf",
        projection_features: Width = 20,
        scale: Positive = 1.0,
        fla_weight: Weight = 0.5,
        fla_reduction: Literal["mean", "sum_classes"] = "mean",
        fpc_weight: Weight | None = None,
        fpc_temperature: Positive = 0.5,
        loss: LossChoice = "two_way",
        loss_settings: LossSettings | None = None,
        two_way_temperature: Positive = TWO_WAY_TEMPERATURE,
        train_classifier: bool | None = None,
        classifier: ClassifierRows = "etf",
        concatenate: bool = True,
        warmup_epochs: Number = 5,
        seed: Number = 0,
        class_names: Sequence[str] | None = None,
        label_vectors: Tensor | None = None,
        class_counts: Sequence[int] | None = None,
        num_images: int | None = None,
        cooccurrence: Tensor | None = None,
    ) -> None:
        super().__init__()
        if variant not in _OF_VARIANT:
            raise ValueError(f'variant is {variant!r}; it is "paper" or "released"')
        labels, vectors = chosen_labels(label_embedding, class_names, label_vectors)
        released = variant == "released"
        self.variant: Literal["paper", "released"] = variant
        self.fla_weight, self.fla_reduction = fla_weight, fla_reduction
        usual = _OF_VARIANT[variant]
        self.fpc_weight = cast("float", usual["fpc_weight"]) if fpc_weight is None else fpc_weight
        self.fpc_temperature, self.two_way_temperature = fpc_temperature, two_way_temperature
        # Without L_FLA the warm-up would minimise nothing.
        self.warmup_epochs, self.concatenate = warmup_epochs if fla_weight else 0, concatenate

        self.backbone = build_backbone(backbone, pretrained=pretrained)
        self.head = ClasswiseHead(
            num_classes,
            self.backbone.num_features,
            attention=attention or cast("AttentionKind", usual["attention"]),
            num_features=num_features,
            num_heads=num_heads,
            dropout=dropout,
            label_embedding=labels,
            label_vectors=vectors,
            projection_features=projection_features,
            seed=seed,
        )
        self.classifier: FixedETFClassifier | ClasswiseClassifier
        trained = bool(usual["train_classifier"] if train_classifier is None else train_classifier)
        width = num_classes * projection_features if concatenate else projection_features
        made = FixedETFClassifier if concatenate else ClasswiseClassifier
        self.classifier = made(num_classes, width, seed=seed + 1, scale=scale, trainable=trained, rows=classifier)
        self.centres = ClassCentres(num_classes, projection_features, mode="running" if released else "epoch")
        self.classification = loss_entry(loss).name
        self.criterion = build_chosen(
            loss,
            loss_settings,
            class_counts=class_counts,
            num_images=num_images,
            cooccurrence=cooccurrence,
            two_way_temperature=two_way_temperature,
        )

    @classmethod
    def in_full(cls, arguments: Mapping[str, object]) -> dict[str, object]:
        """Fill in what the variant chooses; see ``Method.in_full``.

        Args:
            arguments: All arguments of the class.

        Returns:
            The same without None, but for a width that the backbone has.
        """
        whole = dict(arguments)
        for name, usual in _OF_VARIANT[str(whole["variant"])].items():
            whole[name] = usual if whole[name] is None else whole[name]
        whole["loss"] = loss = loss_entry(str(whole["loss"])).name
        whole["loss_settings"] = settings_in_full(loss, cast("str | None", whole["loss_settings"]))
        if whole["attention"] == "cosine":
            whole["num_features"] = None  # the backbone's in any case
        elif whole["num_features"] is None:
            whole["num_features"] = RELEASED_WIDTH
        return whole

    def forward(self, images: Tensor) -> Output:
        """Run the network; see ``Method.forward``.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            Logits; spaces ``"classwise" [B, C, D]``, ``"projected" [B, C, p]``, and what the classifier reads:
            ``"penultimate" [B, C p]``, or ``[B, C, p]`` without concatenation; maps.
        """
        features, projected, maps = self.head(self.backbone(images))
        read = projected.flatten(1) if self.concatenate else projected
        spaces = {"classwise": features, "projected": projected, "penultimate": read}
        return Output(logits=self.classifier(read), features=spaces, maps=maps)

    def loss(self, output: Output, targets: Tensor, *, epoch: int) -> dict[str, Tensor]:
        """Compute ``L_FLA`` alone during the warm-up, then all three terms.

        Args:
            output: What ``forward`` returned.
            targets: ``[B, C]`` in {0, 1}.
            epoch: Index of the epoch, from 0.

        Returns:
            ``"loss"`` and its unweighted parts: ``"loss_fla"``, ``"loss_fpc"``, ``"loss_two_way"`` (of another loss
            ``"loss_classification"``).
        """
        fla = feature_label_alignment_loss(
            output.features["classwise"],
            self.head.label_embedding(),
            targets,
            reduction=self.fla_reduction,
            variant=self.variant,
        )
        if epoch < self.warmup_epochs:
            return {"loss": fla, "loss_fla": fla.detach()}
        fpc = collapse_calibration_loss(
            output.features["projected"],
            self.centres.centres,
            self.centres.seen,
            targets,
            temperature=self.fpc_temperature,
            temperature_denominator=self.fpc_temperature,
            normalise="pairs" if self.variant == "released" else "batch",
        )
        classification = self.criterion(output.logits, targets)
        total = self.fla_weight * fla + self.fpc_weight * fpc + classification
        name = "loss_two_way" if self.classification == "two_way" else "loss_classification"
        parts = {"loss_fla": fla, "loss_fpc": fpc, name: classification}
        return {"loss": total} | {name: part.detach() for name, part in parts.items()}

    def observe(self, output: Output, targets: Tensor) -> None:
        """Add the batch's projected positives to the sums of the class centres.

        Args:
            output: What ``forward`` returned.
            targets: ``[B, C]`` in {0, 1}.
        """
        self.centres.update(output.features["projected"], targets)

    def end_epoch(self) -> None:
        """Make this epoch's means the class centres of the next."""
        self.centres.end_epoch()

    def anchors(self) -> dict[str, Anchors]:
        """Give label embeddings (class-wise space) and the classifier (penultimate space) for NC3 and NC4.

        Returns:
            Rows by space; the classifier's rows carry the learned scale.
        """
        rows = self.classifier.scale.detach() * self.classifier.weight.detach()
        return {
            "classwise": Anchors(weight=self.head.label_embedding().detach(), bias=None, kind="label_embedding"),
            "penultimate": Anchors(weight=rows, bias=None, kind="classifier"),
        }
