"""Values of classes against their training counts, of runs, checkpoints, feature files or saved results."""

from __future__ import annotations

from collections.abc import Sequence

from nctools.figures.drawing import Drawing
from nctools.figures.measured import measured, plain_ids
from nctools.figures.sources import Paths, as_paths


def per_class_of(paths: Paths, *, metrics: Sequence[str] | None = None, space: str | None = None) -> Drawing:
    """Draw values of classes against their number of images, inputs side by side.

    Args:
        paths: Run directories, checkpoints, feature files or saved results (``.json``).
        metrics: Metric ids, a row each; None takes NC1, norm ratio and mean angle, of saved results what they have.
        space: Feature space; None takes each one's main space.

    Returns:
        The figure and the drawn data.
    """
    from nctools.plots import per_class_data, per_class_values
    from nctools.plots.per_class_table import USUAL_METRICS

    paths = as_paths(paths)
    chosen = plain_ids(metrics)
    results = measured(paths, chosen, USUAL_METRICS, space=space)
    tables = {title: result.per_class for title, result in results.items()}
    # Counts are those of the measured split: runs keep features of their training images.
    splits = {result.parts[0].split or "train" for result in results.values()}
    what = "training" if splits == {"train"} else "/".join(sorted(splits))
    figure = per_class_values(tables, metrics=chosen, count_label=f"{what} images of the class")
    return Drawing(figure, per_class_data(tables, metrics=chosen))
