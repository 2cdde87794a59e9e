"""Reads parts of a layer from an open feature file."""

from __future__ import annotations

from typing import cast

import h5py
import torch
from torch import Tensor

from nctools.models.output import AnchorKind, Anchors


def read_pair_index(file: h5py.File, *, layer: str, part: slice) -> tuple[Tensor, Tensor]:
    """Read which image and class stored pairs belong to.

    Args:
        file: An open feature file.
        layer: A layer of positive pairs.
        part: Which pairs.

    Returns:
        Row of the image ``[m]`` and class ``[m]``, int64.
    """
    group = file["layers"][layer]
    return torch.from_numpy(group["samples"][part]), torch.from_numpy(group["classes"][part])


def read_pairs(file: h5py.File, *, layer: str, part: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Read stored pairs.

    Args:
        file: An open feature file.
        layer: A layer of positive pairs.
        part: Which pairs.

    Returns:
        Features ``[m, D]`` float32, classes ``[m]`` and rows of the images ``[m]``.
    """
    samples, classes = read_pair_index(file, layer=layer, part=part)
    return torch.from_numpy(file["layers"][layer]["features"][part]).float(), classes, samples


def read_images(file: h5py.File, *, layer: str, part: slice) -> tuple[Tensor, Tensor]:
    """Read images of a layer that holds all of them.

    Args:
        file: An open feature file.
        layer: Its name.
        part: Which rows.

    Returns:
        Label sets ``[m, C]`` uint8 and features ``[m, ...]`` as they are stored.
    """
    return torch.from_numpy(file["targets"][part]), torch.from_numpy(file["layers"][layer]["features"][part])


def read_anchors(group: h5py.Group) -> Anchors | None:
    """Read the rows that NC3 compares class means with.

    Args:
        group: Of a layer.

    Returns:
        The rows, or None where none were stored.
    """
    if "anchors" not in group:
        return None
    rows = group["anchors"]
    bias = torch.from_numpy(rows["bias"][()]) if "bias" in rows else None
    return Anchors(torch.from_numpy(rows["weight"][()]), bias=bias, kind=cast("AnchorKind", rows.attrs["kind"]))
