"""Turns one forward pass into the rows that a feature file keeps, and refuses what cannot be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from math import isqrt
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctools.features.selection import first_tensor
from nctools.models.output import Output

LayerKind = Literal["shared", "classwise"]
PairChoice = Literal["positive", "all"]
FeatureDtype = Literal["float32", "float16"]
MapChoice = Literal["refuse", "mean", "flatten"]
TokenChoice = Literal["refuse", "class", "patches", "mean"]
_TORCH_DTYPE = {"float32": torch.float32, "float16": torch.float16}


@dataclass(frozen=True)
class LayerRows:
    """One layer's part of a batch.

    Args:
        kind: ``"shared"``: one feature per image; ``"classwise"``: one per image and class.
        rows: ``[B, D]`` if shared; else ``[m, D]`` (the batch's positive pairs) or ``[B, C, D]`` (all pairs).
    """

    kind: LayerKind
    rows: NDArray[np.floating]


@dataclass(frozen=True)
class FileBatch:
    """What a feature file keeps of one batch.

    Args:
        ids: ``B`` image ids.
        targets: Label sets ``[B, C]`` uint8.
        logits: ``[B, C]`` float32, or None.
        samples: Row in the file of each positive pair, ``[m]`` int64.
        classes: Class of each positive pair, ``[m]`` int64.
        layers: Layer name -> its rows.
    """

    ids: list[str]
    targets: NDArray[np.uint8]
    logits: NDArray[np.float32] | None
    samples: NDArray[np.int64]
    classes: NDArray[np.int64]
    layers: Mapping[str, LayerRows]


def logits_of(output: object) -> Tensor | None:
    """Find the logits in what a model returns.

    Args:
        output: A tensor, an ``Output``, a mapping, dataclass or named tuple with ``logits``, or a tuple whose first
            tensor they are.

    Returns:
        The tensor, or None.

    Example:
        >>> logits_of({"loss": torch.tensor(1.0), "logits": torch.zeros(2, 3)}).shape
        torch.Size([2, 3])
    """
    if isinstance(output, Mapping):
        return first_tensor(output.get("logits"))
    if not isinstance(output, (Tensor, Output)) and (is_dataclass(output) or isinstance(output, tuple)):
        named = first_tensor(getattr(output, "logits", None))
        if named is not None or not isinstance(output, tuple):
            return named
    return first_tensor(output) if isinstance(output, (Tensor, Output, tuple, list)) else None


def layer_kind(name: str, shape: Sequence[int], num_images: int, num_classes: int) -> LayerKind:
    """Tell from the shape whether features belong to images or to images and classes.

    Args:
        name: The layer, for the message.
        shape: Shape of the features of a batch.
        num_images: ``B``.
        num_classes: ``C``.

    Returns:
        ``"shared"`` for ``[B, D]``, ``"classwise"`` for ``[B, C, D]``.

    Raises:
        ValueError: For any other shape.

    Example:
        >>> layer_kind("head", (8, 20, 128), num_images=8, num_classes=20)
        'classwise'
    """
    if len(shape) == 2 and shape[0] == num_images:
        return "shared"
    if len(shape) == 3 and tuple(shape[:2]) == (num_images, num_classes):
        return "classwise"
    raise ValueError(
        f"layer {name!r} has features of shape {list(shape)} for {num_images} images and {num_classes} classes, but "
        "[B, D] or [B, C, D] is needed: name a place after pooling and flattening (maps and tokens), "
        'such as the input of the classifier, "MODULE:input"; of maps [B, ch, h, w] maps="mean" (--maps mean) takes '
        'the mean over their places; of tokens [B, T, D] tokens="class" (--tokens class) takes the class token and '
        'tokens="patches" (--tokens patches) the mean over the patches'
    )


def reduce_map(features: Tensor, maps: MapChoice) -> Tensor:
    """Make one feature per image of a convolutional map.

    Args:
        features: Of any shape; only ``[B, ch, h, w]`` (and ``[B, ch, d, h, w]`` of volumes or videos) is changed.
        maps: ``"mean"`` over the places: ``[B, ch]``; ``"flatten"``: ``[B, ch * h * w]``; ``"refuse"`` changes nothing.

    Returns:
        The features; means of half types in float32.

    Example:
        >>> reduce_map(torch.zeros(2, 8, 3, 3), "mean").shape, reduce_map(torch.zeros(2, 8, 3, 3), "flatten").shape
        (torch.Size([2, 8]), torch.Size([2, 72]))
    """
    if features.ndim not in (4, 5) or maps == "refuse":
        return features
    return features.flatten(1) if maps == "flatten" else _mean(features, tuple(range(2, features.ndim)))


def reduce_tokens(features: Tensor, tokens: TokenChoice, prefix_tokens: int | None = None) -> Tensor:
    """Make one feature per image of a transformer's tokens.

    Args:
        features: Of any shape; only ``[B, T, D]`` is changed.
        tokens: ``"class"``: the first token; ``"patches"``: the mean over the tokens after the prefix; ``"mean"``:
            over all tokens; each gives ``[B, D]``. ``"refuse"`` changes nothing.
        prefix_tokens: How many class and register tokens come before the patches. None: 1 if ``T - 1`` is a square
            number (a class token and a square grid), 0 if ``T`` is one.

    Returns:
        The features; means of half types in float32.

    Raises:
        ValueError: If the prefix leaves no patch, or cannot be told from ``T``.

    Example:
        >>> reduce_tokens(torch.tensor([[[9.0], [1.0], [3.0], [5.0], [7.0]]]), "patches")
        tensor([[4.]])
    """
    if features.ndim != 3 or tokens == "refuse":
        return features
    if tokens == "class":
        return features[:, 0]
    if tokens == "mean":
        return _mean(features, (1,))
    num_tokens = features.shape[1]
    prefix = prefix_tokens
    if prefix is None:
        if not (_is_square(num_tokens) or _is_square(num_tokens - 1)):
            raise ValueError(
                f"features of shape {list(features.shape)} have {num_tokens} tokens, of which some may be class or "
                "register tokens: pass their number as prefix_tokens (--prefix-tokens), 0 if all are patches"
            )
        prefix = int(not _is_square(num_tokens))
    if not 0 <= prefix < num_tokens:
        raise ValueError(
            f"prefix_tokens is {prefix}, but features of shape {list(features.shape)} have {num_tokens} tokens: "
            f"pass the number of class and register tokens, from 0 to {num_tokens - 1}"
        )
    return _mean(features[:, prefix:], (1,))


def _is_square(number: int) -> bool:
    return number >= 0 and isqrt(number) ** 2 == number


def _mean(features: Tensor, dims: tuple[int, ...]) -> Tensor:
    # The sum of many half-precision values would be rounded, or overflow.
    dtype = features.dtype if features.dtype in (torch.float32, torch.float64) else torch.float32
    return features.mean(dim=dims, dtype=dtype)


class BatchReader:
    """Checks batches one after the other and keeps count of the images.

    Args:
        pairs: Which pairs of class-wise layers to keep.
        dtype: What features are stored as.
        ids: Ids of all images in their order, or None for running numbers.
        num_classes: ``C`` if known; else the columns of the targets, or of the logits where targets are indices.
        maps: What to make of ``[B, ch, h, w]``, see ``reduce_map``.
        tokens: What to make of ``[B, T, D]``, see ``reduce_tokens``. Unless it is ``"refuse"``, every layer of three
            dimensions is taken as tokens, also where ``T`` equals ``C`` and it could be class-wise.
        prefix_tokens: Tokens before the patches; None: guessed, see ``reduce_tokens``.
        single_label: Each image has exactly one label, also where targets are ``[B, C]``.

    Attributes:
        num_images: Images read so far.
        num_classes: ``C``; None before the first batch where it was not given.
        single_label: The targets are class indices, or stand for one class each.
    """

    def __init__(
        self,
        *,
        pairs: PairChoice,
        dtype: FeatureDtype,
        ids: Sequence[str] | None,
        num_classes: int | None,
        maps: MapChoice = "refuse",
        tokens: TokenChoice = "refuse",
        prefix_tokens: int | None = None,
        single_label: bool = False,
    ) -> None:
        self.num_images = 0
        self.num_classes = num_classes
        self.single_label = single_label
        self._pairs = pairs
        self._dtype = dtype
        self._maps = maps
        self._tokens: TokenChoice = tokens
        self._prefix_tokens = prefix_tokens
        self._ids = ids
        self._row_shapes: dict[str, torch.Size] = {}

    def read(self, features: Mapping[str, Tensor], output: object, targets: Tensor) -> FileBatch:
        """Check a batch and pick what the file keeps.

        Args:
            features: Layer name -> ``[B, D]`` or ``[B, C, D]``, or a map ``[B, ch, h, w]`` that ``maps`` allows, or
                tokens ``[B, T, D]`` that ``tokens`` allows.
            output: What the model returned.
            targets: ``[B, C]`` in {0, 1}, or class indices ``[B]``.

        Returns:
            The rows, on the CPU.

        Raises:
            ValueError: If shapes do not fit, a label is out of range, a feature is not finite or does not fit the
                dtype; the message names the image and the layer.
        """
        if self._ids is not None and self.num_images + len(targets) > len(self._ids):
            raise ValueError(f"ids has {len(self._ids)} entries but there are more images: pass one id per image")
        logits = logits_of(output)
        label_sets = self._label_sets(targets.cpu(), logits)
        samples, classes = label_sets.nonzero(as_tuple=True)
        layers = {name: self._layer(name, tensor, label_sets, samples, classes) for name, tensor in features.items()}
        batch = FileBatch(
            ids=[self._image(row) for row in range(len(targets))],
            targets=label_sets.numpy(),
            logits=self._logits(logits, label_sets),
            samples=(samples + self.num_images).numpy(),
            classes=classes.numpy(),
            layers=layers,
        )
        self.num_images += len(targets)
        return batch

    def _image(self, row: int) -> str:
        place = self.num_images + row
        return str(place if self._ids is None else self._ids[place])

    def _label_sets(self, targets: Tensor, logits: Tensor | None) -> Tensor:
        # Copied: rows wait for a whole chunk, and a dataloader may reuse its memory.
        if targets.ndim == 1 and not targets.is_floating_point() and targets.dtype != torch.bool:
            return self._one_hot(targets.long(), logits)
        if targets.ndim != 2:
            raise ValueError(
                f"targets have shape {list(targets.shape)} and dtype {targets.dtype}: "
                "pass label sets [B, C] of 0 and 1, or class indices [B] of an integer dtype"
            )
        self._check_num_classes(targets.shape[1])
        wrong = ((targets != 0) & (targets != 1)).nonzero()
        if len(wrong):
            row, column = wrong[0].tolist()
            raise ValueError(
                f"image {self._image(row)!r} has the label {targets[row, column].item()!r} for class {column}: "
                "label sets hold only 0 and 1"
            )
        not_one = targets.sum(dim=1) != 1
        if self.single_label and bool(not_one.any()):
            row = int(not_one.nonzero()[0])
            raise ValueError(
                f"image {self._image(row)!r} has {int(targets[row].sum())} labels, but single_label is True: "
                "leave it out for images with several labels or none"
            )
        return targets.to(torch.uint8, copy=True)

    def _one_hot(self, targets: Tensor, logits: Tensor | None) -> Tensor:
        self.single_label = True
        if self.num_classes is None:
            if logits is None or logits.ndim != 2:
                raise ValueError(
                    "the number of classes is not known: the targets are class indices and the model returns no "
                    "logits [B, C]: pass class_names"
                )
            self.num_classes = logits.shape[1]
        num_classes = self.num_classes
        wrong = ((targets < 0) | (targets >= num_classes)).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise ValueError(
                f"image {self._image(row)!r} has the class index {int(targets[row])}, but there are "
                f"{num_classes} classes: pass indices from 0, and class_names if the logits belong to other classes"
            )
        matrix = torch.zeros(len(targets), num_classes, dtype=torch.uint8)
        return matrix.scatter_(1, targets[:, None], 1)

    def _check_num_classes(self, found: int) -> None:
        if self.num_classes is None:
            self.num_classes = found
        if found != self.num_classes:
            raise ValueError(
                f"targets have {found} columns but {self.num_classes} classes were named or seen before: "
                "pass the labels and class_names of the same class list"
            )

    def _logits(self, logits: Tensor | None, label_sets: Tensor) -> NDArray[np.float32] | None:
        # Only if there is one per image and class: a model without a classifier has none.
        if logits is None or logits.shape != label_sets.shape:
            return None
        values: NDArray[np.float32] = logits.detach().to("cpu", torch.float32, copy=True).numpy()
        return values

    def _layer(self, name: str, features: Tensor, label_sets: Tensor, samples: Tensor, classes: Tensor) -> LayerRows:
        features = reduce_tokens(reduce_map(features, self._maps), self._tokens, self._prefix_tokens)
        kind = layer_kind(name, features.shape, *label_sets.shape)
        if self._row_shapes.setdefault(name, features.shape[1:]) != features.shape[1:]:
            raise ValueError(
                f"layer {name!r} has features of shape {list(features.shape)}, but [B, "
                f"{', '.join(map(str, self._row_shapes[name]))}] in the first batch: give all images the same size"
            )
        images = torch.arange(len(features))
        # Before positives are picked: a feature that is not finite is a fault also where its class is absent.
        self._check_finite(name, features, images, "check the checkpoint and the preprocessing")
        if kind == "classwise" and self._pairs == "positive":
            features = features[samples.to(features.device), classes.to(features.device)]
            images = samples
        stored = features.to("cpu", _TORCH_DTYPE[self._dtype])
        if stored.dtype != features.dtype:
            mend = "pass dtype='float32'" if self._dtype == "float16" else "scale the model's features down"
            self._check_finite(name, stored, images, f"it was too large for {self._dtype}: {mend}")
        return LayerRows(kind, stored.numpy())

    def _check_finite(self, name: str, features: Tensor, images: Tensor, mend: str) -> None:
        # Minimum and maximum carry NaN on, and need one reading pass where isfinite makes copies.
        if not features.numel() or bool(torch.stack(features.aminmax()).isfinite().all()):
            return
        finite = features.isfinite()
        row = int((~finite).flatten(1).any(dim=1).nonzero()[0])
        value = features[row][~finite[row]][0].item()
        raise ValueError(f"layer {name!r} of image {self._image(int(images[row]))!r} has the feature {value}: {mend}")
