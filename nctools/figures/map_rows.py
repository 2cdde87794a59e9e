"""Images of a run with the maps of their classes, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nctools.errors import CheckpointError
from nctools.figures.map_choice import chosen_classes

if TYPE_CHECKING:
    from torch import Tensor

    from nctools.data.dataset import MultiLabelDataset
    from nctools.features.maps import ClassMaps
    from nctools.plots import MapRow
    from nctools.prepared import Prepared


@dataclass(frozen=True)
class Wanted:
    """What maps are made.

    Args:
        method: How they are made.
        layer: Where they are taken, or None.
        classes: As for ``chosen_classes``.
        groups: Groups of classes.
        chosen: Of each image the classes, where they are chosen already.
    """

    method: str
    layer: str | None
    classes: str | Sequence[str]
    groups: Mapping[str, Sequence[int]]
    chosen: Sequence[list[int]] | None = None


def rows_of_run(
    ready: Prepared, data: MultiLabelDataset, rows: Sequence[int], wanted: Wanted, run: str
) -> tuple[list[MapRow], ClassMaps]:
    """Make the maps of some images.

    Args:
        ready: The model.
        data: Its images.
        rows: Places of the images.
        wanted: What maps.
        run: Name of the run; empty where it is the only one.

    Returns:
        The images with the maps of their classes, enlarged; and the maps as they are, of all classes that any image
        shows.

    Raises:
        CheckpointError: If the model returns no logits of these classes.
    """
    import torch

    from nctools.features.inference import ready_model, run_batch
    from nctools.features.maps import class_maps
    from nctools.plots import MapRow

    inputs = torch.stack([data[row][0] for row in rows])
    present = data.targets[list(rows)].numpy() == 1
    model = ready.network.module
    with ready_model(model, ready.device):
        with torch.no_grad():
            scores = _probabilities(run_batch(model, inputs, ready.device), data)
        classes = wanted.chosen or [
            chosen_classes(wanted.classes, true, score, data.class_names, wanted.groups)
            for true, score in zip(present, scores, strict=True)
        ]
        every = sorted({index for chosen in classes for index in chosen})
        found = run_batch(
            lambda images: class_maps(model, images, method=wanted.method, layer=wanted.layer, classes=every),
            inputs,
            ready.device,
        )
    size = (inputs.shape[-2], inputs.shape[-1])
    enlarged, boxes = found.upsampled(size).numpy(), _boxes(data, rows, present)
    drawn = []
    for number, chosen in enumerate(classes):
        columns = [every.index(index) for index in chosen]
        drawn.append(
            MapRow(
                data.ids[rows[number]],
                _seen(data, rows[number]),
                enlarged[number, columns],
                chosen,
                present[number, chosen],
                scores=scores[number, chosen],
                boxes=boxes[number],
                energy=_energy(found.maps[number, columns], chosen, boxes[number], size),
                run=run,
            )
        )
    return drawn, found


def _probabilities(output: object, data: MultiLabelDataset) -> NDArray[np.floating]:
    from nctools.features.batches import logits_of

    logits = logits_of(output)
    if logits is None or logits.ndim != 2 or logits.shape[1] != data.num_classes:
        shape = None if logits is None else list(logits.shape)
        raise CheckpointError(
            f"the model returns logits of shape {shape} for {data.num_classes} classes: there is nothing to map"
        )
    scores: NDArray[np.floating] = (
        (logits.float().softmax(1) if data.single_label else logits.float().sigmoid()).cpu().numpy()
    )
    return scores


def _boxes(
    data: MultiLabelDataset, rows: Sequence[int], present: NDArray[np.bool_]
) -> list[dict[int, NDArray[np.float64]]]:
    # Of each image the corners of its labels, by class.
    from nctools.data.box_transform import input_boxes

    found: list[dict[int, NDArray[np.float64]]] = [{} for _ in rows]
    if data.box_reader is not None:
        for (number, index), corners in input_boxes(data, rows).boxes.by_pair().items():
            if present[number, index]:
                found[number][index] = corners
    return found


def _energy(
    maps: Tensor, classes: Sequence[int], boxes: Mapping[int, NDArray[np.float64]], size: tuple[int, int]
) -> NDArray[np.float64]:
    from nctools.evaluation.localisation import energy_in_box

    energy = np.full(len(classes), np.nan)
    places = [place for place, index in enumerate(classes) if index in boxes]
    if places:
        energy[places] = energy_in_box(maps[places], [boxes[classes[place]] for place in places], size)
    return energy


def _seen(data: MultiLabelDataset, row: int) -> NDArray[np.uint8]:
    # The image as the model sees it, before it is normalised.
    from nctools.data.transforms import ImageTransform, resized_and_cropped

    image = data.images[row]
    if isinstance(data.transform, ImageTransform):
        image = resized_and_cropped(image, data.transform.preprocessing)
    seen: NDArray[np.uint8] = image.permute(1, 2, 0).contiguous().numpy()
    return seen
