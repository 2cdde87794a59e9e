"""One panel of a figure of class maps: an image with its boxes, or a map laid over the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nctools.plots.theme import GREY, INK, fit_width, font_size, group_colours, style_ticks, text_width

COLOURS: Final = "inferno"  # perceptually uniform: as much brighter as the value is higher
OPAQUE: Final = 0.62  # of the map; the grey image shines through
TITLE_SIZE: Final = 6.5
_WORDS_SIZE: Final = 5.8
TITLE_HEIGHT: Final = 11.0
"""Points above a panel for its title."""
WORDS_HEIGHT: Final = 10.0
"""Points below a panel for its words."""
_CHECK: Final = "✓ "


@dataclass(frozen=True, eq=False)
class MapRow:
    """An image as one model sees it, and the maps of K classes.

    Args:
        image_id: Name of the image.
        image: uint8 ``[H, W, 3]``, the input of the model before it was normalised.
        maps: ``[K, H, W]``, enlarged to the size of the image; what is negative is drawn as 0.
        classes: Index of each of the K classes.
        true: Bool ``[K]``, whether the image holds the class.
        scores: ``[K]`` predicted probabilities, or None.
        boxes: Class index -> corners ``[k, 4]`` (x0, y0, x1, y1) in pixels of the image, of the classes that have some.
        energy: ``[K]`` share of each map inside its boxes, NaN where there are none; None: not measured.
        run: Name of the model, where several are compared.

    Raises:
        ValueError: If the shapes do not fit.
    """

    image_id: str
    image: NDArray[np.uint8]
    maps: NDArray[np.floating]
    classes: list[int]
    true: NDArray[np.bool_]
    scores: NDArray[np.floating] | None = None
    boxes: Mapping[int, NDArray[np.floating]] = field(default_factory=dict)
    energy: NDArray[np.floating] | None = None
    run: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.classes), *self.image.shape[:2])
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.maps.shape != expected:
            raise ValueError(
                f"image {self.image_id!r}: `maps` has shape {list(self.maps.shape)} and `image` "
                f"{list(self.image.shape)}, with {len(self.classes)} classes: give [{len(self.classes)}, H, W] and "
                "[H, W, 3]"
            )
        for name, values in (("true", self.true), ("scores", self.scores), ("energy", self.energy)):
            if values is not None and values.shape != expected[:1]:
                raise ValueError(
                    f"image {self.image_id!r}: `{name}` has shape {list(values.shape)}, but there are "
                    f"{len(self.classes)} classes: give one each"
                )


@dataclass(frozen=True)
class Look:
    """What all panels of a figure share.

    Args:
        class_names: Names of all C classes.
        groups: Group -> class indices.
        highest: Value at the bright end of the colours; None: the maximum of each map.
    """

    class_names: Sequence[str]
    groups: Mapping[str, Sequence[int]]
    highest: float | None

    @property
    def group_of(self) -> dict[int, str]:
        """Group of each class; of several the first."""
        return {index: group for group, members in reversed(list(self.groups.items())) for index in members}

    def colour_of(self, index: int) -> str:
        """Return the colour of the group of a class, grey for a class of none."""
        return group_colours(self.groups).get(self.group_of.get(index, ""), GREY)


def draw_image(axes: Axes, row: MapRow, look: Look, width: float) -> None:
    """Draw the image with its boxes, and write its name; where models are compared, the model's above it.

    Args:
        axes: Where.
        row: The image.
        look: Colours.
        width: Width of the panel in points.
    """
    axes.imshow(row.image, interpolation="nearest", aspect="auto")
    for index, corners in row.boxes.items():
        _outline(axes, corners, look.colour_of(index), 1.1)
    _finish(axes, GREY, 0.4)
    _title(axes, fit_width(row.run or row.image_id, TITLE_SIZE, width), INK)
    if row.run:
        _words(axes, fit_width(row.image_id, _WORDS_SIZE, width))


def draw_map(axes: Axes, row: MapRow, place: int, look: Look, width: float) -> None:
    """Draw a map over the grey image; a check and a thick frame in the group's colour mark a true label.

    Args:
        axes: Where.
        row: The image and its maps.
        place: Which of the maps.
        look: Names and colours.
        width: Width of the panel in points.
    """
    index, true = row.classes[place], bool(row.true[place])
    values = np.maximum(row.maps[place], 0)
    highest = float(values.max()) if look.highest is None else look.highest
    grey = row.image.mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    axes.imshow(values, cmap=COLOURS, vmin=0, vmax=highest or 1, alpha=OPAQUE, interpolation="nearest", aspect="auto")
    if true and index in row.boxes:
        _outline(axes, row.boxes[index], "white", 0.7)
    colour = look.colour_of(index)
    _finish(axes, colour if true else GREY, 2.0 if true else 0.4)
    check = _CHECK if true else ""
    _title(axes, fit_width(check + look.class_names[index], TITLE_SIZE, width), colour)
    _words(axes, value_words(row, place, width))


def value_words(row: MapRow, place: int, width: float) -> str:
    """Write the score, and the share of the map in the box where there is room.

    Args:
        row: The image and its maps.
        place: Which of the maps.
        width: Width of the panel in points.

    Returns:
        The words below the map.
    """
    score = "" if row.scores is None else f"{row.scores[place]:.2f}"
    if row.energy is None or np.isnan(row.energy[place]):
        return score
    share = f"{row.energy[place]:.0%} in box"
    both = f"{score} · {share}" if score else share
    return both if text_width(both, _WORDS_SIZE) <= width else score


def _title(axes: Axes, text: str, colour: str) -> None:
    axes.set_title(text, fontsize=font_size(TITLE_SIZE), pad=2.5, color=colour, parse_math=False)


def _words(axes: Axes, text: str) -> None:
    axes.set_xlabel(text, fontsize=font_size(_WORDS_SIZE), labelpad=2.0, color=INK, parse_math=False)


def _outline(axes: Axes, corners: NDArray[np.floating], colour: str, linewidth: float) -> None:
    # imshow puts the middle of the first pixel at 0, boxes have its edge there.
    for left, upper, right, lower in np.asarray(corners, dtype=float).tolist():
        box = Rectangle((left - 0.5, upper - 0.5), right - left, lower - upper, fill=False)
        box.set(edgecolor=colour, linewidth=linewidth)
        axes.add_patch(box)


def _finish(axes: Axes, colour: str, linewidth: float) -> None:
    style_ticks(axes)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=linewidth)
