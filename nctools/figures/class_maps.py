"""Class maps of runs on the same images, under each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Unpack

from nctools.errors import ConfigError
from nctools.figures.drawing import Drawing
from nctools.figures.map_choice import chosen_rows
from nctools.figures.map_rows import Wanted, rows_of_run
from nctools.figures.sources import Paths, as_paths, short_title
from nctools.forward_options import ForwardOptions

if TYPE_CHECKING:
    from nctools.plots import MapRow

_ROWS_FROM: Final = 7  # with more maps, those of one image are drawn by group


def class_maps_of(
    paths: Paths,
    *,
    method: str = "attention",
    layer: str | None = None,
    images: int | Sequence[str] = 4,
    classes: str | Sequence[str] = "top",
    split: str | None = None,
    seed: int = 0,
    scale: Literal["map", "common"] = "map",
    npz: Path | None = None,
    **options: Unpack[ForwardOptions],
) -> Drawing:
    """Draw the class maps of runs or checkpoints on some images.

    More than seven maps of one image of one run are drawn by group, all others in rows.

    Args:
        paths: Run directories or checkpoints, all of the same classes; each image is drawn for one after the other.
        method: How the maps are made, see ``nctools.class_maps``.
        layer: Where they are taken; None: where the method usually takes them.
        images: Ids, or how many are chosen: in turn one whose rarest label is of the tail, medium and head.
        classes: ``"top"`` (the true labels, then the highest scores of the first run, six in all), ``"true"``,
            ``"predicted"`` (probability above one half, or the highest), ``"all"``, or names.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        seed: Of the choice of images.
        scale: ``"map"``: the colours of each map reach to its maximum; ``"common"``: to that of all.
        npz: File for the maps as they are, images in the order of the table; of several runs one file each, with the
            name of the run.
        **options: How the models are opened and what they are run over, as for ``nctools.extract_checkpoint``.

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If the runs have different classes, or there are not so many images.
        UnknownNameError: If there is no such image or class; near misses are listed.
    """
    from nctools.localisation import images_of
    from nctools.plots import class_map_data, class_map_grid, class_map_groups
    from nctools.prepared import prepare
    from nctools.trained_runs import checkpoint_of

    paths = as_paths(paths)
    runs: list[list[MapRow]] = []
    names: list[str] = []
    groups: dict[str, list[int]] = {}
    chosen: int | Sequence[str] = images
    columns: list[list[int]] | None = None
    for path in paths:
        ready = prepare(checkpoint_of(path), options, split=split, default_split="test")
        data = images_of(ready)
        if names and names != data.class_names:
            raise ConfigError(f"{path} has other classes than {paths[0]}: their maps have no common figure")
        names, groups = data.class_names, groups or dict(ready.groups or {})
        rows = chosen_rows(data, groups, chosen, seed)
        chosen = [data.ids[row] for row in rows]  # those of the first run
        title = short_title(path, paths) if len(paths) > 1 else ""
        drawn, found = rows_of_run(ready, data, rows, Wanted(method, layer, classes, groups, columns), title)
        runs.append(drawn)
        if classes == "top":  # what stands under each other can be compared
            columns = [row.classes for row in drawn]
        if npz is not None:
            found.save(map_files(npz, paths)[len(runs) - 1])
    ordered = [row for of_image in zip(*runs, strict=True) for row in of_image]
    size = (found.maps.shape[-2], found.maps.shape[-1])
    if len(ordered) == 1 and len(ordered[0].classes) > _ROWS_FROM:
        figure = class_map_groups(ordered[0], names, groups=groups, scale=scale, method=found.method, map_size=size)
    else:
        figure = class_map_grid(ordered, names, groups=groups, scale=scale, method=found.method, map_size=size)
    return Drawing(figure, class_map_data(ordered, names, groups=groups))


def map_files(npz: Path, paths: Sequence[Path]) -> list[Path]:
    """Name the files that ``class_maps_of`` writes the maps to.

    Args:
        npz: What it was given.
        paths: The runs.

    Returns:
        A file for each run.

    Example:
        >>> [file.name for file in map_files(Path("cam.npz"), [Path("runs/erm"), Path("runs/mlc_nc")])]
        ['cam-erm.npz', 'cam-mlc_nc.npz']
    """
    if len(paths) == 1:
        return [npz]
    return [npz.with_stem(f"{npz.stem}-{short_title(path, paths).replace('/', '-')}") for path in paths]
