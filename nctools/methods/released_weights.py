"""Checkpoints that the authors of MLC-NC released: a bare state dict of their code becomes our method.

Their network is a torchvision-like ResNet whose ``fc`` is the class-wise head. Beside what MLC-NC uses, ``fc`` holds
parts of other experiments (``sup_embed``, ``projection_layers``, ``duplicate_pooling``, ...), which are left out. The
factor ``alpha`` of that code is in no file; it is taken as 1, the code's default, which has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nctools.errors import CheckpointError, NctoolsError
from nctools.methods.assembly import build
from nctools.methods.method import Method

_NEEDED = (
    "conv1.weight",
    "fc.embed_standart.weight",
    "fc.multihead_attn.in_proj_weight",
    "fc.duplicate_proto",
    "fc.duplicate_proto_bias",
    "fc.proto_classifier.proto",
)
_PREFIXES = ("", "module.", "model.", "model.module.", "module.model.")
_HEAD = {
    "fc.embed_standart.weight": "head.attention.embed.weight",
    "fc.embed_standart.bias": "head.attention.embed.bias",
    "fc.multihead_attn.in_proj_weight": "head.attention.in_proj_weight",
    "fc.multihead_attn.in_proj_bias": "head.attention.in_proj_bias",
    "fc.multihead_attn.out_proj.weight": "head.attention.out_proj.weight",
    "fc.multihead_attn.out_proj.bias": "head.attention.out_proj.bias",
    "fc.duplicate_proto": "head.projection.weight",
    "fc.duplicate_proto_bias": "head.projection.bias",
}
_QUERIES = "head.label_embedding.weight"
# Where a file may hold the queries: the plain attribute of the authors' code, had it been registered, and the unused
# embedding, had the frame been copied into it.
_QUERY_NAMES = ("fc.query_embed", "fc.query_embed_etf", "fc.query_embed_group.weight")
# Blocks of layer1 to layer4, and whether they are bottlenecks -> timm's name.
_RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
NO_QUERIES = (
    "the file does not hold the fixed ETF queries of the class-wise attention (the released code draws them at random "
    "and does not save them): an ETF of seed 0 takes their place. Features, maps, logits and every NC number of the "
    "class-wise, projected and penultimate spaces are therefore those of other queries, not the authors'; "
    "only the backbone's features are theirs"
)


def looks_released(state: Mapping[str, Tensor]) -> bool:
    """Tell whether weights are those of the released MLC-NC code.

    Args:
        state: Weights by name.

    Returns:
        True if all names are there that only that code has.

    Example:
        >>> looks_released({"fc.weight": torch.zeros(2, 3)})
        False
    """
    return _prefix(state) is not None


def rebuild_released(state: Mapping[str, Tensor]) -> tuple[Method, list[str]]:
    """Build ``mlc_nc`` with ``variant="released"`` from released weights; C, p and the depth come from the shapes.

    Args:
        state: Weights by name, as ``looks_released`` recognises them.

    Returns:
        The method, in eval mode, and notes that the user must see.

    Raises:
        CheckpointError: If the weights are not the released code's, or do not fit together.
    """
    prefix = _prefix(state)
    if prefix is None:
        raise CheckpointError(f"these {len(state)} weights are not those of the released MLC-NC code")
    given = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    classes, width, projected = given["fc.duplicate_proto"].shape
    backbone = _backbone_name(given)
    mapped = _mapped(given)
    queries = _queries(given, classes, width)
    if queries is not None:
        mapped[_QUERIES] = queries
    try:
        method = build(
            "mlc_nc",
            num_classes=classes,
            variant="released",
            backbone=backbone,
            num_features=width,
            projection_features=projected,
        )
        absent = method.load_state_dict(mapped, strict=False)
    except (RuntimeError, ValueError, NctoolsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"the released MLC-NC weights do not fit {backbone!r} and {classes} classes: {reason}"
        ) from error
    # The class centres serve training only, and start anew.
    missing = [name for name in absent.missing_keys if not name.startswith((_QUERIES, "centres."))]
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or absent.unexpected_keys:
        listed = ", ".join([*missing[:5], *absent.unexpected_keys[:5]])
        raise CheckpointError(f"the released MLC-NC weights do not fit {backbone!r}: missing or unknown: {listed}")
    return method.eval(), _notes(given, queries)


def _prefix(state: Mapping[str, Tensor]) -> str | None:
    fitting = [prefix for prefix in _PREFIXES if all(prefix + name in state for name in _NEEDED)]
    usable = fitting and state[fitting[0] + "fc.duplicate_proto"].dim() == 3
    return fitting[0] if usable else None


def _backbone_name(given: Mapping[str, Tensor]) -> str:
    parts = [name.split(".") for name in given if name.startswith("layer")]
    counts = tuple(
        1 + max((int(part[1]) for part in parts if part[0] == f"layer{stage}" and part[1].isdigit()), default=-1)
        for stage in (1, 2, 3, 4)
    )
    bottleneck = "layer1.0.conv3.weight" in given
    if (counts, bottleneck) not in _RESNETS:
        kind = "bottleneck" if bottleneck else "basic"
        raise CheckpointError(
            f"the released MLC-NC weights have {counts} {kind} blocks in layer1 to layer4, which is no ResNet that is "
            f"known here ({', '.join(_RESNETS.values())})"
        )
    return _RESNETS[counts, bottleneck]


def _mapped(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    mapped = {f"backbone.body.{name}": value for name, value in given.items() if not name.startswith("fc.")}
    mapped |= {ours: given[theirs] for theirs, ours in _HEAD.items() if theirs in given}
    # [pC, C] with a column for each class; ours has rows.
    mapped["classifier.weight"] = given["fc.proto_classifier.proto"].T
    # Before `temperature` was a parameter it was 1.
    temperature = given.get("fc.temperature", torch.ones(()))
    if temperature.numel() != 1:
        raise CheckpointError(f"fc.temperature has shape {list(temperature.shape)}; the released MLC-NC code has one")
    mapped["classifier.scale"] = temperature.reshape(())
    return mapped


def _queries(given: Mapping[str, Tensor], classes: int, width: int) -> Tensor | None:
    for name in _QUERY_NAMES:
        rows = given.get(name)
        if rows is not None and rows.shape == (classes, width) and _is_simplex(rows):
            return rows
    return None


def _is_simplex(rows: Tensor) -> bool:
    # Unit norms and cosines of -1/(C-1): what the released code asks with. Its unused embedding is Gaussian.
    classes = len(rows)
    if classes < 2:
        return False
    wanted = (classes * torch.eye(classes) - 1) / (classes - 1)
    return torch.allclose(rows.float() @ rows.float().T, wanted, atol=1e-3)


def _notes(given: Mapping[str, Tensor], queries: Tensor | None) -> list[str]:
    notes = [] if queries is not None else [NO_QUERIES]
    pooling_bias = given.get("fc.duplicate_pooling_bias")
    if pooling_bias is not None and bool((pooling_bias != 0).any()):
        notes.append(
            "the classifier of another experiment (fc.duplicate_pooling) was trained in this file: it may come from a "
            "run of the released code without the ETF classifier, whose logits and queries were others"
        )
    return notes
