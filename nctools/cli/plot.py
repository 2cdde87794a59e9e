"""``nctools plot``: figures of runs, feature files and data sets, each with its data as CSV."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools.cli.data_options import DataSettingsText, data_settings, reading_labels
from nctools.cli.options import DataRoot, Force
from nctools.cli.output import input_errors, refuse_to_overwrite
from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory, newest_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from nctools.collapse.result import CollapseResult
    from nctools.features.store import FeatureStore

    Drawing = tuple[Figure, pd.DataFrame]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Draw figures; the data go beside each as CSV.")

Out = Annotated[
    Path | None, typer.Option("-o", "--out", help="File: .png, .svg or .pdf. Default: RUN/figures/KIND.png.")
]
SpaceOption = Annotated[str | None, typer.Option("--space", help="Feature space. Default: each run's main space.")]


class Centre(StrEnum):
    """What is taken away from the class means before their angles are measured."""

    by_class = "class"
    none = "none"


@app.command("nc-curves")
def nc_curves(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories or NC tables (.csv), side by side. Default: the newest run in runs/."),
    ] = None,
    out: Out = None,
    space: SpaceOption = None,
    metrics: Annotated[
        str, typer.Option("--metrics", help="Metric ids, a row each.")
    ] = "nc1_pinv,nc2_etf_error,nc3_self_duality",
    weights: Annotated[
        str | None, typer.Option("--weights", help="raw or ema, where nc.csv has both. [default: raw]")
    ] = None,
    force: Force = False,
) -> None:
    """Draw NC1 (log axis), NC2, NC3 and mAP over the epochs, a line for each group of classes.

    Example: nctools plot nc-curves runs/mlc_nc runs/erm -o curves.pdf
    """
    chosen = list(runs or []) or [newest_run().path]
    first = chosen[0]
    target = out or (
        first.with_name(f"{first.stem}-curves.png") if _is_table(first) else first / "figures" / "nc-curves.png"
    )
    # The data of a figure go beside it as CSV: never over a table that is drawn.
    if target.with_suffix(".csv").resolve() in {path.resolve() for path in chosen}:
        raise ConfigError(
            f"{target.with_suffix('.csv')} is drawn, and the figure's data would replace it: name -o FILE.png"
        )
    refuse_to_overwrite(target, force=force)
    _save(
        target, *curves_of(chosen, space=space, metrics=[name.strip() for name in metrics.split(",")], weights=weights)
    )


@app.command("angles")
def angles(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run directories, checkpoints or feature files, side by side. Default: the newest run."),
    ] = None,
    out: Out = None,
    space: SpaceOption = None,
    centre: Annotated[
        Centre, typer.Option("--centre", help="class: angles of centred class means; none: as they are.")
    ] = Centre.by_class,
    force: Force = False,
) -> None:
    """Draw the class-by-class angles of the class means on the training images, most frequent class first.

    Example: nctools plot angles runs/mlc_nc runs/erm
    """
    chosen = list(inputs or []) or [newest_run().path]
    folder = chosen[0] / "figures" if chosen[0].is_dir() else Path()
    target = out or folder / ("angles.png" if centre is Centre.by_class else "angles-uncentred.png")
    refuse_to_overwrite(target, force=force)
    _save(target, *angles_of(chosen, space=space, centre="class" if centre is Centre.by_class else "none"))


class LayerStyle(StrEnum):
    """How values over layers are drawn."""

    map = "map"
    lines = "lines"


@app.command("layers")
def layers(
    file: Annotated[Path, typer.Argument(help="Result of nctools measure (.json, .csv) or feature file (.h5).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File: .png, .svg or .pdf.")] = Path("layers.png"),
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Metric ids, a panel each. [default: NC1, CDNV, ETF error, NCC accuracy]"),
    ] = None,
    kind: Annotated[
        LayerStyle, typer.Option("--style", help="map: layers x groups with numbers; lines: a line for each group.")
    ] = LayerStyle.map,
    force: Force = False,
) -> None:
    """Draw metrics over the layers of a network, first layer on top, for all classes and by group.

    Example: nctools plot layers features.h5 -o layers.png --metrics nc1_pinv,nc4_ncc_accuracy
    """
    refuse_to_overwrite(out, force=force)
    chosen = [name.strip() for name in metrics.split(",")] if metrics else None
    _save(out, *layers_of(file, metrics=chosen, lines=kind is LayerStyle.lines))


@app.command("distribution")
def distribution(
    dataset: Annotated[
        str, typer.Argument(help="Data set (digits_lt, voc_lt, ...), split file, or path of your own images or labels.")
    ],
    out: Out = None,
    data_root: DataRoot = None,
    split: Annotated[str, typer.Option("--split", help="Split to draw.")] = "train",
    settings: DataSettingsText = None,
    force: Force = False,
) -> None:
    """Draw class counts, labels per image and co-occurrence of a data set.

    Example: nctools plot distribution digits_lt -o digits_lt.png
    """
    from nctools.cli.data import draw_distribution
    from nctools.data.description import describe_dataset
    from nctools.data.loading import open_dataset

    target = out or Path(f"{Path(dataset).stem}-{split}.png")
    refuse_to_overwrite(target, force=force)
    with input_errors(), reading_labels() as reading:
        opened = open_dataset(
            dataset,
            root=data_root,
            settings=data_settings(settings),
            cache=reading.cache,
            progress=reading.progress,
        )
        facts = describe_dataset(opened.load(split))
    _save(target, *draw_distribution(facts))


def curves_of(
    paths: Sequence[Path], *, space: str | None, metrics: Sequence[str], weights: str | None = None
) -> Drawing:
    """Draw the NC curves of runs side by side.

    Args:
        paths: Folders with ``nc.csv`` and, where there is one, ``metrics.csv``; or NC tables of any name.
        space: Feature space; None takes each run's main space.
        metrics: Metric ids, a row each.
        weights: Raw or averaged weights; None takes raw ones.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import nc_curves, nc_curves_data

    tables = {_title(path, paths): path if _is_table(path) else RunDirectory(path).collapse for path in paths}
    collapse = {title: _read_table(table) for title, table in tables.items()}
    # A training of the user's own has NC values, but no table of ours with mAP.
    beside = {title: RunDirectory(table.parent).metrics for title, table in tables.items() if table.name == "nc.csv"}
    training = {title: _read_table(table) for title, table in beside.items() if table.is_file()}
    with input_errors():
        figure = nc_curves(collapse, training, space=space, weights=weights, metrics=metrics)
        return figure, nc_curves_data(collapse, training, space=space, weights=weights, metrics=metrics)


def angles_of(paths: Sequence[Path], *, space: str | None, centre: Literal["class", "none"]) -> Drawing:
    """Draw the class-by-class angles of runs, checkpoints or feature files side by side.

    Args:
        paths: Run directories, checkpoints or feature files, all of the same classes.
        space: Feature space; None takes each one's main space.
        centre: Take the mean of the class means away (``"class"``) or not (``"none"``).

    Returns:
        The figure and the drawn data.

    Raises:
        ConfigError: If the inputs have different classes.
    """
    from nctools.collapse.geometry import etf_angle_deg
    from nctools.plots import angle_map, angle_map_data
    from nctools.stored_pairs import class_angles

    matrices = {}
    names: list[str] = []
    counts: list[int] = []
    groups: dict[str, list[int]] | None = None
    with input_errors():
        for path in paths:
            with open_features(path) as store:
                if names and names != store.classes:
                    raise ConfigError(f"{path} has other classes than {paths[0]}: their angles have no common map")
                layer = space or store.layers[0]
                matrices[f"{_title(path, paths)} · {layer}"] = class_angles(store, layer, centre=centre)
                names, counts, groups = store.classes, store.targets.sum(0).tolist(), store.groups
        figure = angle_map(matrices, names, counts, etf_angle=etf_angle_deg(len(names)), groups=groups)
        return figure, angle_map_data(matrices, names, counts, groups=groups)


def layers_of(path: Path, *, metrics: Sequence[str] | None, lines: bool) -> Drawing:
    """Draw metrics over the layers of a result or a feature file.

    Args:
        path: A saved result (``.json``, ``.csv``) or a feature file, which is measured.
        metrics: Metric ids, a panel each; None takes the usual ones.
        lines: A line for each group in place of heat maps.

    Returns:
        The figure and the drawn data.
    """
    from nctools.collapse.catalogue import ALIASES
    from nctools.measurement import measure
    from nctools.plots import layer_data, layer_lines, layer_map
    from nctools.plots.layer_table import USUAL_METRICS

    with input_errors():
        chosen = None if metrics is None else [ALIASES.get(name, name) for name in metrics]
        stored = path.suffix in {".h5", ".hdf5"}
        table = (measure(path, metrics=chosen or USUAL_METRICS) if stored else _read_result(path)).table
        draw = layer_lines if lines else layer_map
        return draw(table, metrics=chosen), layer_data(table, metrics=chosen)


@contextmanager
def open_features(path: Path) -> Iterator[FeatureStore]:
    """Open the training features of a run, a checkpoint or a feature file.

    A run is read from ``features/train.h5`` where that exists; else its last checkpoint sees the training images.

    Args:
        path: Run directory, checkpoint or feature file.

    Yields:
        The store.

    Raises:
        ConfigError: If a directory holds neither features nor a checkpoint.
    """
    from nctools.features.store import FeatureStore

    run = RunDirectory(path)
    stored = path if path.suffix in {".h5", ".hdf5"} else run.features / "train.h5"
    if stored == path or stored.is_file():
        with FeatureStore(stored) as store:
            yield store
        return
    checkpoint = run.checkpoints / "last.pt" if path.is_dir() else path
    if path.is_dir() and not checkpoint.is_file():
        raise ConfigError(f"{path} is not a finished run: it holds neither features/train.h5 nor checkpoints/last.pt")
    from nctools.checkpoints import extract_checkpoint

    with (
        tempfile.TemporaryDirectory() as folder,
        extract_checkpoint(checkpoint, Path(folder) / "train.h5", split="train", shard_size=None) as store,
    ):
        yield store


def _read_result(path: Path) -> CollapseResult:
    """Read what ``CollapseResult.save`` or ``nctools measure --json`` wrote; the latter holds a result per input."""
    from nctools.collapse.result import CollapseResult, load_result
    from nctools.collapse.space_result import parts_of

    if path.suffix == ".json":
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read as JSON ({' '.join(str(error).split())})") from error
        if isinstance(document, dict) and document.get("command") == "measure":
            results = document.get("results", [])
            if len(results) != 1:
                raise ConfigError(f"{path} holds {len(results)} results: measure one input and draw that")
            try:
                return CollapseResult(parts_of(results[0]))
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigError(f"{path} is a damaged NC result ({type(error).__name__}: {error})") from error
    return load_result(path)


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv"


def _read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: is {path.parent} a run directory of nctools train?") from error
    except (ValueError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as a table ({' '.join(str(error).split())})") from error


def _title(path: Path, paths: Sequence[Path]) -> str:
    """Shortest tail of the path that tells the inputs apart."""
    resolved = [other.resolve().parts for other in paths]
    own = path.resolve().parts
    for length in range(1, len(own) + 1):
        if sum(parts[-length:] == own[-length:] for parts in resolved) == 1:
            return "/".join(own[-length:])
    return str(path)


def _save(target: Path, figure: Figure, data: pd.DataFrame) -> None:
    from nctools.plots import save_figure

    with input_errors():
        written = save_figure(figure, target, data)
    sys.stdout.write("".join(f"{path}\n" for path in written))
