"""Class maps of a trained model against the boxes of its images: does it look where the class is?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from nctools.data.box_transform import input_boxes
from nctools.data.dataset import MultiLabelDataset
from nctools.errors import DatasetError
from nctools.evaluation.localisation import (
    box_area_share,
    energy_in_box,
    pointing_chance,
    pointing_game,
)
from nctools.features.inference import ready_model, run_batch
from nctools.features.maps import ClassMaps, class_maps
from nctools.features.progress import image_progress
from nctools.forward_options import ForwardOptions
from nctools.localisation_result import Localisation
from nctools.prepared import Prepared, prepare
from nctools.trained_runs import checkpoint_of

if TYPE_CHECKING:
    import pandas as pd

_Corners = NDArray[np.float64]


def localise(
    path: str | Path | None,
    *,
    method: str = "attention",
    layer: str | None = None,
    split: str | None = None,
    max_images: int | None = None,
    tolerance: float = 0,
    progress: bool = False,
    **options: Unpack[ForwardOptions],
) -> Localisation:
    """Measure how much of the maps of the true labels lies in their boxes, and whether their maximum does.

    Args:
        path: A file of weights, a run directory (its best checkpoint on validation, else its last), or None.
        method: How the maps are made, see ``nctools.class_maps``.
        layer: Where they are taken; None: where the method usually takes them.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        max_images: Take so many images, evenly spread over the split; None: all.
        tolerance: Pixels of the input that the maximum may lie outside of a box.
        progress: Show on stderr what is run over what, and how far it is.
        **options: How the model is opened and what it is run over, as for ``extract_checkpoint``.

    Returns:
        The values by pair of image and label, by class and by group, with the level of chance beside each.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes.
        DatasetError: If the data have no boxes, or are missing.
        ValueError: If the model has no maps of this kind, or ``max_images`` or ``tolerance`` is out of range.

    Example:
        >>> import nctools
        >>> nctools.localise("runs/mlc_nc").table  # doctest: +SKIP
          group   measure     value    chance  num_classes  num_pairs
        0   all    energy  0.133...  0.111...           20       2300
        ...
    """
    if max_images is not None and max_images < 1:
        raise ValueError(f"`max_images` is {max_images}: give 1 or more, or None for all")
    path = None if path is None else checkpoint_of(path)
    ready = prepare(path, options, split=split, default_split="test")
    images = images_of(ready)
    corners, size = _labels_with_boxes(images, max_images)
    if progress:
        sys.stderr.write(f"{ready.network.about}\n{ready.data.about}\n")
    rows = sorted({row for row, _ in corners})
    with image_progress(len(rows), enabled=progress, doing="mapping") as advance:
        parts = []
        for chosen, found in _maps_by_batch(ready, images, rows, corners, method, layer, options):
            parts.append(_measured(chosen, found, corners, size, tolerance))
            advance(len({row for row, _ in chosen}))
    pairs = _table_of(parts, images)
    facts: dict[str, object] = {
        "checkpoint": None if path is None else str(path),
        "dataset": images.name,
        "split": ready.split,
        "method": found.method,
        "layer": found.layer,
        "map_size": list(found.maps.shape[-2:]),
        "input_size": list(size),
        "upsampling": "bilinear",
        "tolerance": tolerance,
        "num_images": len(rows),
        "num_pairs": len(pairs),
        "num_empty": int(pairs["empty"].sum()),
    }
    return Localisation(pairs, images.class_names, dict(ready.groups or {}), facts)


def images_of(ready: Prepared) -> MultiLabelDataset:
    """Return the images that a model was prepared with.

    Args:
        ready: What ``nctools.prepared.prepare`` returned.

    Returns:
        The data set.

    Raises:
        DatasetError: If the user's own code made the data.
    """
    if ready.data.images is None:
        raise DatasetError(
            f"{ready.data.name} is not a data set of nctools, so that single images cannot be picked: give a "
            "MultiLabelDataset, --dataset or a folder of images"
        )
    return ready.data.images


def _labels_with_boxes(
    images: MultiLabelDataset, max_images: int | None
) -> tuple[dict[tuple[int, int], _Corners], tuple[int, int]]:
    # Corners by row and class of the labels that are there, and the size of the input.
    labelled = np.flatnonzero(images.targets.any(dim=1).numpy())
    if max_images is not None and max_images < len(labelled):
        labelled = labelled[np.linspace(0, len(labelled) - 1, max_images).round().astype(int)]
    rows = labelled.tolist()
    boxes, sizes = input_boxes(images, rows)
    present = images.targets.numpy()
    corners = {(rows[i], c): found for (i, c), found in boxes.by_pair().items() if present[rows[i], c] == 1}
    if not corners:
        raise DatasetError(f"{images.name} {images.split} has no label with a box among {len(rows)} images")
    different = np.unique(sizes, axis=0)
    if len(different) > 1:
        raise DatasetError(
            f"the images of {images.name} have {len(different)} different sizes as inputs: bring them to one, "
            "with --image-size"
        )
    return corners, (int(different[0, 0]), int(different[0, 1]))


def _maps_by_batch(
    ready: Prepared,
    images: MultiLabelDataset,
    rows: Sequence[int],
    corners: dict[tuple[int, int], _Corners],
    method: str,
    layer: str | None,
    options: ForwardOptions,
) -> Iterator[tuple[list[tuple[int, int]], ClassMaps]]:
    # Of each batch the pairs with a box, and the maps of all classes among them.
    model, batch_size = ready.network.module, options.get("batch_size", 256)
    loader = DataLoader(Subset(images, rows), batch_size=batch_size, num_workers=options.get("workers", 0))
    autocast, channels_last = options.get("autocast"), options.get("channels_last", False)
    of_row: dict[int, list[int]] = {}
    for row, index in corners:
        of_row.setdefault(row, []).append(index)
    with ready_model(model, ready.device, channels_last=channels_last):
        for start, (batch, _) in zip(range(0, len(rows), batch_size), loader, strict=True):
            pairs = [(row, index) for row in rows[start : start + batch_size] for index in of_row[row]]
            classes = sorted({index for _, index in pairs})

            def mapped(inputs: Tensor, classes: list[int] = classes) -> ClassMaps:
                return class_maps(model, inputs, method=method, layer=layer, classes=classes)

            yield pairs, run_batch(mapped, batch, ready.device, autocast=autocast, channels_last=channels_last)


def _measured(
    pairs: Sequence[tuple[int, int]],
    found: ClassMaps,
    corners: dict[tuple[int, int], _Corners],
    size: tuple[int, int],
    tolerance: float,
) -> dict[str, NDArray[np.generic]]:
    place = {index: position for position, index in enumerate(found.classes.tolist())}
    first = {row: position for position, row in enumerate(dict.fromkeys(row for row, _ in pairs))}
    maps = found.maps[[first[row] for row, _ in pairs], [place[index] for _, index in pairs]]
    boxes = [corners[pair] for pair in pairs]
    return {
        "row": np.array([row for row, _ in pairs]),
        "class": np.array([index for _, index in pairs]),
        "energy": energy_in_box(maps, boxes, size),
        "energy_chance": box_area_share(boxes, size),
        "pointing": pointing_game(maps, boxes, size, tolerance=tolerance),
        "pointing_chance": pointing_chance(boxes, size, tolerance=tolerance),
        "empty": (maps <= 0).all(-1).all(-1).numpy(),
    }


def _table_of(parts: Sequence[dict[str, NDArray[np.generic]]], images: MultiLabelDataset) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    table.insert(0, "image", [images.ids[row] for row in table.pop("row")])
    return table
