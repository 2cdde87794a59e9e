"""Class maps of a batch: where the model looks for each class, with what it says, and how they were made."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nctools.errors import StoreError
from nctools.run_directory import replace_atomically

Upsampling = Literal["bilinear", "nearest"]
FORMAT = "nctools class maps"
FORMAT_VERSION = 1
# The arrays in a file are as the model gave them.
_UPSAMPLING = "none: bilinear (align_corners=False) or nearest, by ClassMaps.upsampled"


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """One map for each image and class, as large as the model's last map.

    Args:
        maps: ``[B, K, h, w]`` float32, on the CPU.
        classes: ``[K]`` int64: which class each map belongs to.
        logits: ``[B, C]`` float32 of all classes, or None.
        method: ``"attention"``, ``"cam"``, ``"gradcam"``, ...
        layer: Where the maps were taken, or None.
        assumed: Of maps made of a transformer's tokens, how these were laid out; else empty.

    Raises:
        ValueError: If shapes or types do not agree.

    Example:
        >>> maps = ClassMaps(torch.zeros(2, 3, 6, 6), torch.tensor([0, 4, 7]), None, method="cam", layer="backbone")
        >>> maps.upsampled((48, 48)).shape
        torch.Size([2, 3, 48, 48])
    """

    maps: Tensor
    classes: Tensor
    logits: Tensor | None
    method: str
    layer: str | None
    assumed: str = ""

    def __post_init__(self) -> None:
        shape = list(self.maps.shape)
        if self.maps.ndim != 4 or self.maps.dtype != torch.float32 or self.maps.device.type != "cpu":
            raise ValueError(
                f"`maps` have shape {shape} and dtype {self.maps.dtype} on {self.maps.device}: "
                "give [B, K, h, w] float32 on the CPU"
            )
        if self.classes.shape != (shape[1],) or self.classes.dtype != torch.int64:
            raise ValueError(
                f"`classes` have shape {list(self.classes.shape)} and dtype {self.classes.dtype} but `maps` have shape "
                f"{shape}: give one int64 index for each of the {shape[1]} maps of an image"
            )
        if self.logits is not None and (self.logits.ndim != 2 or len(self.logits) != shape[0]):
            raise ValueError(
                f"`logits` have shape {list(self.logits.shape)} but `maps` have shape {shape}: "
                f"give [{shape[0]}, C], or None"
            )

    def upsampled(self, size: tuple[int, int], *, mode: Upsampling = "bilinear") -> Tensor:
        """Enlarge the maps, usually to the size of the images.

        Args:
            size: ``(H, W)``.
            mode: ``"bilinear"`` (``align_corners=False``: a value stands at the middle of its cell) or ``"nearest"``
                (each cell in one colour). Enlarged attention maps no longer sum to 1.

        Returns:
            ``[B, K, H, W]`` float32.

        Raises:
            ValueError: If the mode is unknown or the size is not positive.
        """
        if mode not in get_args(Upsampling):
            raise ValueError(f"mode is {mode!r}; it is {' or '.join(map(repr, get_args(Upsampling)))}")
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"size is {size!r}: give the height and the width in pixels, such as (224, 224)")
        if mode == "bilinear":
            return F.interpolate(self.maps, size, mode="bilinear", align_corners=False)
        return F.interpolate(self.maps, size, mode="nearest-exact")

    def save(self, path: str | Path) -> None:
        """Write the maps to a NumPy archive, whole or not at all.

        The archive holds ``maps``, ``classes``, ``logits`` (where there are any) and ``facts``, a JSON text with
        method, layer and upsampling. The maps are stored as they are, not enlarged.

        Args:
            path: File to write (``.npz``).
        """
        facts = {"format": FORMAT, "format_version": FORMAT_VERSION, "method": self.method, "layer": self.layer}
        facts |= {"assumed": self.assumed, "upsampling": _UPSAMPLING}
        arrays: dict[str, Any] = {
            "facts": np.array(json.dumps(facts)),
            "maps": self.maps.numpy(),
            "classes": self.classes.numpy(),
        }
        if self.logits is not None:
            arrays["logits"] = self.logits.numpy()
        with replace_atomically(Path(path)) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)


def load_class_maps(path: str | Path) -> ClassMaps:
    """Read what ``ClassMaps.save`` wrote; nothing in the file is run.

    Args:
        path: The file.

    Returns:
        The same maps.

    Raises:
        StoreError: If the file is missing, damaged, or holds no class maps.

    Example:
        >>> load_class_maps("nowhere.npz")
        Traceback (most recent call last):
        nctools.errors.StoreError: nowhere.npz cannot be read as class maps ([Errno 2] No such file or directory...
    """
    try:
        with Path(path).open("rb") as stream:
            return _read(stream)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} cannot be read as class maps ({' '.join(str(error).split())})") from error


def _read(stream: BinaryIO) -> ClassMaps:
    if stream.read(2) != b"PK":  # np.load would advise to trust the file
        raise ValueError("it is not a NumPy archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    missing = [name for name in ("facts", "maps", "classes") if name not in found]
    if missing:
        raise ValueError(f"it holds {', '.join(sorted(found)) or 'nothing'}, and no {missing[0]}")
    facts: object = json.loads(str(found["facts"]))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError("it was not written by ClassMaps.save")
    if facts.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"it has format {facts.get('format_version')!r}, this nctools reads {FORMAT_VERSION}")
    layer = facts["layer"]
    return ClassMaps(
        maps=torch.from_numpy(found["maps"]),
        classes=torch.from_numpy(found["classes"]),
        logits=torch.from_numpy(found["logits"]) if "logits" in found else None,
        method=str(facts["method"]),
        layer=None if layer is None else str(layer),
        assumed=str(facts["assumed"]),
    )
