"""Puts weights into a network whose parameters may bear other prefixes; all of them or none."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from nctools.errors import CheckpointError

# Names that training code gives to the part that holds the model; first is best where several parts of a file fit.
_USUAL = ("", "module.", "model.", "net.", "network.", "backbone.", "encoder.", "_orig_mod.", "model.module.")
_CLASSIFIERS = {"fc", "head", "heads", "classifier", "last_linear", "linear", "logits", "cls", "output"}
# Buffers that older or other versions of a model keep, and that no result depends on.
_HARMLESS = ("num_batches_tracked", "relative_position_index", "relative_coords_table", "attn_mask", "position_ids")
_LISTED = 5


def load_into(module: nn.Module, state: Mapping[str, Tensor], *, where: str) -> list[str]:
    """Load all parameters and buffers of a network, whatever prefix the names in the file have.

    Args:
        module: The network; changed in place, and to be thrown away if this fails.
        state: Weights by name.
        where: The file, for the messages.

    Returns:
        Notes for the user: a prefix that was found, and parts of the file that the network does not have.

    Raises:
        CheckpointError: If a parameter is missing or has another shape, or the file's model is a larger one.

    Example:
        >>> import torch
        >>> load_into(nn.Linear(2, 1), {"net.weight": torch.ones(1, 2), "net.bias": torch.ones(1)}, where="a.pt")
        ["names in the file: 'net.' left out"]
    """
    own = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    given = _without_compiled(state, own)
    removed, added, notes = _best_prefix(given, own)
    fitted = {added + name[len(removed) :]: value for name, value in given.items() if name.startswith(removed)}
    shapes = [name for name in own if name in fitted and own[name].shape != fitted[name].shape]
    if shapes:
        raise CheckpointError(_shape_message(shapes, fitted, own, where))
    result = module.load_state_dict(fitted, strict=False)
    missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked") and name in own]
    if missing:
        raise CheckpointError(_missing_message(missing, given, own, where))
    notes += _about_rest(module, given, result.unexpected_keys, removed, added, where)
    return notes


def num_classes_of(state: Mapping[str, Tensor]) -> int | None:
    """Tell the number of classes from the shape of the classifier.

    Args:
        state: Weights by name.

    Returns:
        Rows of the last matrix (or 1 x 1 convolution) that bears a classifier's name and lies nearest to the top, else
        of the last matrix that has a bias of its own; None if there is none.

    Example:
        >>> import torch
        >>> num_classes_of({"model.fc.weight": torch.zeros(10, 512), "model.fc.bias": torch.zeros(10)})
        10
    """
    matrices = [name for name, value in state.items() if value.dim() == 2 and name.endswith("weight")]
    pointwise = [name for name, value in state.items() if value.dim() == 4 and value.shape[2:] == (1, 1)]
    named = [name for name in matrices if _is_classifier(name)] or [name for name in pointwise if _is_classifier(name)]
    if named:
        top = min(name.count(".") for name in named)
        return int(state[[name for name in named if name.count(".") == top][-1]].shape[0])
    biases = {name: state.get(name.removesuffix("weight") + "bias") for name in matrices}
    with_bias = [
        name for name in matrices if (bias := biases[name]) is not None and bias.shape == state[name].shape[:1]
    ]
    return int(state[with_bias[-1]].shape[0]) if with_bias else None


def _is_classifier(name: str) -> bool:
    return bool(_CLASSIFIERS & set(name.split(".")[:-1]))


def _without_compiled(state: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    # torch.compile puts this part anywhere into a name.
    if any("_orig_mod." in name for name in own):
        return dict(state)
    return {name.replace("_orig_mod.", ""): value for name, value in state.items()}


def _best_prefix(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[str, str, list[str]]:
    """Find which prefix in the file stands for which prefix in the network.

    Args:
        given: Weights of the file.
        own: Weights of the network.

    Returns:
        Prefix to take off, prefix to put on, notes.
    """
    hits = Counter({pair: _fitting(given, own, *pair) for pair in _candidates(given, own)})
    best = max(hits.values())
    order = {prefix: rank for rank, prefix in enumerate(_USUAL)}
    winners = [pair for pair, count in hits.items() if count == best]
    removed, added = min(winners, key=lambda pair: ([order.get(prefix, len(order)) for prefix in pair], pair))
    notes = []
    if (removed, added) != ("", "") and best:
        put = f", {added!r} put before" if added else ""
        notes.append(f"names in the file: {removed!r} left out{put}" if removed else f"names in the file{put}")
    others = sorted({pair[0] for pair in winners if pair[0] != removed and pair[1] == added}) if best else []
    if others:
        notes.append(f"the file holds several sets of weights that fit; {removed!r} is taken, not {', '.join(others)}")
    return removed, added, notes


def _candidates(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> set[tuple[str, str]]:
    # Pairs of names that end alike tell which prefixes may stand for each other. Few of the network's names suffice:
    # the prefix is the same for all of them.
    names = list(own)
    chosen = {*names[:3], *names[-3:], *names[:: max(1, len(names) // 6)]}
    by_leaf: dict[str, list[str]] = {}
    for name in given:
        by_leaf.setdefault(name.rpartition(".")[2], []).append(name)
    pairs = {("", "")}
    for name in chosen:
        for other in by_leaf.get(name.rpartition(".")[2], []):
            if given[other].shape == own[name].shape:
                pairs.add(_differing_starts(other, name))
    # A first layer of another shape must not hide the right prefix.
    pairs |= {(prefix, "") for prefix in {_first_part(name) for name in given}}
    return pairs


def _differing_starts(first: str, second: str) -> tuple[str, str]:
    left, right = first.split("."), second.split(".")
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return ".".join([*left, ""]) if left else "", ".".join([*right, ""]) if right else ""


def _first_part(name: str) -> str:
    head, dot, _ = name.partition(".")
    return head + dot if dot else ""


def _fitting(given: Mapping[str, Tensor], own: Mapping[str, Tensor], removed: str, added: str) -> int:
    # Names count, and shapes a little more: a file for other classes must still find its prefix.
    names = [name for name in given if name.startswith(removed)]
    found = [(name, added + name[len(removed) :]) for name in names]
    return sum(1 + (given[name].shape == own[target].shape) for name, target in found if target in own)


def _shape_message(shapes: Sequence[str], fitted: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> str:
    lines = [
        f"{name} is {list(fitted[name].shape)} in the file but {list(own[name].shape)} in the model"
        for name in shapes[:_LISTED]
    ]
    more = f" and {len(shapes) - _LISTED} more" if len(shapes) > _LISTED else ""
    return f"the weights in {where} do not fit: {'; '.join(lines)}{more}: {_shape_hint(shapes, fitted, own)}"


def _shape_hint(shapes: Sequence[str], fitted: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    name = shapes[-1]
    file_shape, own_shape = fitted[name].shape, own[name].shape
    only_rows = file_shape[1:] == own_shape[1:] and len(shapes) <= 2
    if only_rows and _is_classifier(name):
        return f"give --model-args num_classes={file_shape[0]}"
    first = fitted[shapes[0]].shape
    if (
        len(shapes) == 1
        and len(first) == 4
        and first[0] == own[shapes[0]].shape[0]
        and first[2:] == own[shapes[0]].shape[2:]
    ):
        return f"the images have {first[1]} channels; with timm give --model-args in_chans={first[1]}"
    return "this is another model, or one made with other arguments: give --model and --model-args as it was trained"


def _missing_message(missing: Sequence[str], given: Mapping[str, Tensor], own: Mapping[str, Tensor], where: str) -> str:
    needed = sum(not name.endswith("num_batches_tracked") for name in own)
    lines = []
    for name in missing[:_LISTED]:
        near = difflib.get_close_matches(name, list(given), n=1, cutoff=0.6)
        lines.append(f"{name} {list(own[name].shape)}" + (f" (nearest in the file: {near[0]})" if near else ""))
    more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    names = list(given)
    ends = (
        f"{names[0]} {list(given[names[0]].shape)} ... {names[-1]} {list(given[names[-1]].shape)}" if names else "none"
    )
    return (
        f"the weights in {where} lack {len(missing)} of {needed} entries of the model: {', '.join(lines)}{more}. "
        f"The file has {len(given)} entries: {ends}. Give the --model and --model-args it was trained with"
    )


def _about_rest(
    module: nn.Module, given: Mapping[str, Tensor], unexpected: Sequence[str], removed: str, added: str, where: str
) -> list[str]:
    """Judge what is in the file and not in the network.

    Args:
        module: The network.
        given: Weights of the file.
        unexpected: Names below the prefix that the network has no place for, in its own naming.
        removed: The prefix that was taken off.
        added: The prefix that was put on.
        where: The file.

    Returns:
        Notes.

    Raises:
        CheckpointError: If a part that the network has is larger in the file.
    """
    parts = {name for name, _ in module.named_children()}
    left_out = [name for name in unexpected if not name.endswith(_HARMLESS)]
    of_parts = [
        name
        for name in left_out
        if name.partition(".")[0] in parts and given[removed + name[len(added) :]].is_floating_point()
    ]
    if of_parts and not added:
        listed = ", ".join(of_parts[:_LISTED]) + (
            f" and {len(of_parts) - _LISTED} more" if len(of_parts) > _LISTED else ""
        )
        raise CheckpointError(
            f"the weights in {where} are those of a larger model: it lacks a place for {listed}. "
            "Give the --model and --model-args it was trained with"
        )
    outside = [name for name in given if not name.startswith(removed)]
    unused = [*left_out, *outside]
    if not unused:
        return []
    groups = Counter(name.partition(".")[0] for name in unused)
    return [
        "not used, as the model has no such part: " + ", ".join(f"{name} ({count})" for name, count in groups.items())
    ]
