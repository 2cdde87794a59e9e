"""The figures of a report: a literal list, a row for each. A new figure is one more row."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Unpack, cast

from nctools.errors import ConfigError, NctoolsError
from nctools.figures.drawing import Drawing
from nctools.forward_options import ForwardOptions
from nctools.report.collect import RunRecord

if TYPE_CHECKING:
    Draw = Callable[..., Drawing]

Part = Literal["scores", "collapse", "classes", "images"]


@dataclass(frozen=True)
class Section:
    """One figure of a report.

    Args:
        id: Key, unique on the page; also the name of the CSV file.
        part: Under which heading it stands.
        title: Its own heading.
        reading: One sentence: how to read it.
        function: Function of ``nctools.figures`` that draws it.
        alt: What it shows, for those who do not see it; the names of the runs are added.
        options: Further arguments of the function.
        runs_models: The function runs the models over images, and is told where these are.
    """

    id: str
    part: Part
    title: str
    reading: str
    function: str
    alt: str
    options: Mapping[str, object] = field(default_factory=dict)
    runs_models: bool = False


SECTIONS: Final = (
    Section(
        "map-bars", "scores", "mAP by group",
        "A bar for each run and group of classes, on the test images.",
        "map_bars_of", "Bars of test mAP by group of classes",
        runs_models=True,
    ),
    Section(
        "logits", "scores", "Logits of positives and negatives",
        "Of each group the logits of classes that are in the image, and of those that are not; what lies above 0 is "
        "predicted.",
        "logits_of", "Distributions of the logits of positives and of negatives in each group of classes",
        runs_models=True,
    ),
    Section(
        "nc-curves", "collapse", "Collapse over the epochs",
        "Each line is a group of classes. NC1, NC2 and NC3 fall to 0 as features collapse; NC1 has a logarithmic axis.",
        "curves_of", "Lines of NC1, NC2, NC3 and validation mAP over the epochs, for each group of classes",
    ),
    Section(
        "angles", "collapse", "Angles between class means",
        "White is the angle of an ideal simplex; red pairs of classes are too close together, blue ones too far apart.",
        "angles_of", "Heat map of the angle between every two class means, most frequent class first",
    ),
    Section(
        "blocks", "collapse", "Between the groups of classes",
        "Each cell is the mean over pairs with one class in the group of the row and one in that of the column; "
        "minority collapse would show between tail and tail.",
        "blocks_of", "Matrices of pair metrics between head, medium and tail classes",
    ),
    Section(
        "spectrum", "collapse", "Dimensions that the features use",
        "Eigenvalues, largest first: collapsed features have C - 1 equal ones between classes and none within.",
        "spectrum_of", "Lines of the eigenvalues of between-class and within-class scatter",
    ),
    Section(
        "embedding", "collapse", "Features in two dimensions",
        "The two directions of largest variance (PCA): points are features, larger marks class means; crosses are the "
        "corners of the nearest ideal simplex, where it fits.",
        "embedding_of", "Scatter of features and class means in the plane of their two main directions",
        {"method": "pca"},
    ),
    Section(
        "per-class", "classes", "Rare and frequent classes",
        "Each point is a class: to the right frequent ones, to the left rare ones.",
        "per_class_of", "Points of NC values of each class against its number of training images",
    ),
    Section(
        "distribution", "classes", "The long tail",
        "Bars are the training images of each class, most frequent first; below, how many labels an image has, and "
        "which classes come together.",
        "distribution_of", "Bars of training images by class, labels per image, and a heat map of classes in one image",
    ),
    Section(
        "class-maps", "images", "Where the models look",
        "Rows are images, for one run after the other; columns are classes, true ones first. Bright places speak for "
        "the class.",
        "class_maps_of", "Test images overlaid with the maps of their true and likeliest classes",
        {"images": 3}, runs_models=True,
    ),
)  # fmt: skip
# Maps of the head itself, of a linear head, of any network: the first that all runs allow.
_MAP_METHODS: Final = ("attention", "cam", "gradcam")


def draw(section: Section, records: Sequence[RunRecord], **options: Unpack[ForwardOptions]) -> Drawing:
    """Draw a section from runs.

    Args:
        section: Its row.
        records: Runs.
        **options: How the models are run, for the figures that need it.

    Returns:
        The drawing.

    Raises:
        ConfigError: If the training labels that a figure needs are not known.
    """
    figures = importlib.import_module("nctools.figures")
    function = cast("Draw", getattr(figures, section.function))
    if section.function == "distribution_of":
        return function(_labels_of(records), **section.options)
    further = {**section.options, **(options if section.runs_models else {})}
    folders = [Path(record.facts.folder) for record in records]
    if section.function == "class_maps_of":
        return _maps(function, folders, further)
    return function(folders, **further)


def _maps(function: Draw, folders: list[Path], options: Mapping[str, object]) -> Drawing:
    *firsts, last = _MAP_METHODS
    for method in firsts:
        try:
            return function(folders, method=method, **options)
        except (NctoolsError, ValueError):
            continue
    return function(folders, method=last, **options)


def _labels_of(records: Sequence[RunRecord]) -> object:
    known = [record.training for record in records if record.training is not None]
    if not known:
        raise ConfigError("the training labels are not known without features")
    return known[0]
