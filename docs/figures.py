"""Draws the pictures of the documentation: ``python docs/figures.py``, and with ``--runs runs/demo`` also its examples.

The pictures of the concepts are made from nothing but nctools and a seed, in under a minute. The examples of the guides
need the runs of ``make demo``; for one picture a run is trained beside them. They are written to ``docs/images/``, from
where they are committed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

import nctools
from nctools import figures
from nctools.collapse import simplex_gram
from nctools.figures import Drawing
from nctools.plots.theme import DOUBLE_COLUMN, GREY, GROUP_COLOURS, INK, new_figure, save_figure, style

METHODS = ("erm", "class_attention", "mlc_nc")
IMAGES = Path(__file__).parent / "images"
COLOURS = ("#0072B2", "#D55E00", "#009E73")
# Corners of the triangle and of the tetrahedron, in as many dimensions as they need.
TRIANGLE = torch.tensor([[math.cos(a), math.sin(a)] for a in (math.pi / 2, 7 * math.pi / 6, 11 * math.pi / 6)])
TETRAHEDRON = torch.cat(
    [torch.tensor([[0.0, 0.0, 1.0]]), torch.cat([math.sqrt(8) / 3 * TRIANGLE, torch.full((3, 1), -1 / 3)], 1)]
)


def plane(axes: Axes, reach: float, low: float | None = None) -> None:
    """An empty plane around the origin, of equal scales, square unless it ends at ``low``."""
    axes.set_aspect("equal")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach if low is None else low, reach)
    axes.set_xticks([])
    axes.set_yticks([])


def arrow(axes: Axes, to: Tensor, colour: str, *, dashed: bool = False, width: float = 1.4) -> None:
    """An arrow from the origin."""
    line = "--" if dashed else "-"
    look = {"arrowstyle": "-|>", "color": colour, "lw": width, "ls": line, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", to.tolist(), (0, 0), arrowprops=look, zorder=4)


def free_features(steps: tuple[int, ...]) -> dict[int, tuple[Tensor, Tensor]]:
    """Features and classifier rows after some steps, where the features themselves are trained.

    This is what theory puts in the place of a network that can send each image anywhere: cross entropy of three classes
    in the plane, with weight decay on features and classifier.
    """
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(240) % 3
    features = (0.9 * torch.randn(240, 2, generator=generator)).requires_grad_()
    rows = torch.randn(3, 2, generator=generator).requires_grad_()
    seen = {}
    for step in range(max(steps) + 1):
        if step in steps:
            seen[step] = (features.detach().clone(), rows.detach().clone())
        decay = 2.0e-3 * (features.square().sum() / 80 + rows.square().sum())
        loss = nn.functional.cross_entropy(features @ rows.T, labels) + decay
        by_features, by_rows = torch.autograd.grad(loss, [features, rows])
        with torch.no_grad():
            # Each image's feature sees only its own 1/240 of the mean.
            features -= 0.1 * 240 * by_features
            rows -= 0.1 * by_rows
    return seen


def collapse_in_the_plane() -> Figure:
    """Three classes in two dimensions: at the start, half way, collapsed."""
    stages = free_features((0, 25, 3000))
    labels = torch.arange(240) % 3
    figure = new_figure(DOUBLE_COLUMN, 2.75, constrained=True)
    panels = figure.subplots(1, 3)
    for axes, (step, (features, rows)) in zip(panels, stages.items(), strict=True):
        values = nctools.measure(features, labels, classifier=rows).to_dict()["all"]
        means = torch.stack([features[labels == c].mean(0) for c in range(3)])
        centred = means - means.mean(0)
        shown = features - means.mean(0)
        scale = max(centred.norm(dim=1).mean(), 0.7 * shown.square().sum(1).mean().sqrt())
        plane(axes, 2.0)
        for c, colour in enumerate(COLOURS):
            axes.scatter(*(shown[labels == c] / scale).T, s=9, color=colour, alpha=0.35, linewidths=0, zorder=2)
            arrow(axes, centred[c] / scale, colour, width=1.8)
            arrow(axes, 1.75 * rows[c] / rows.norm(dim=1).mean(), INK, dashed=True, width=0.8)
        axes.set_title("at the start" if step == 0 else f"after {step:,} steps", color=INK)
        axes.set_xlabel(
            f"NC1 {values['nc1_pinv']:.3g}     NC2 {values['nc2_etf_error']:.2f}     "
            f"NC3 {values['nc3_self_duality']:.2f}"
        )
    return figure


def simplexes() -> Figure:
    """The simplex ETF of two, three and four classes."""
    figure = new_figure(DOUBLE_COLUMN, 2.45, constrained=True)
    # Seen from the side and a little from above, so that none of the four lies behind another.
    turn = torch.tensor([[0.94, -0.34, 0.0], [0.13, 0.36, 0.92]])
    flat = {2: torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 3: TRIANGLE, 4: TETRAHEDRON @ turn.T}
    for axes, (classes, corners) in zip(figure.subplots(1, 3), flat.items(), strict=True):
        plane(axes, 1.08, -0.72)
        axes.axis("off")
        for first in range(classes):
            for second in range(first):
                axes.plot(*zip(corners[first], corners[second], strict=True), color="#b8b8b8", lw=0.8, zorder=1)
        for corner, colour in zip(corners, (*COLOURS, "#CC79A7"), strict=False):
            arrow(axes, corner, colour, width=1.8)
        cosine = simplex_gram(classes)[0, 1] / simplex_gram(classes)[0, 0]
        angle = math.degrees(math.acos(cosine))
        name = {2: "a line", 3: "a triangle", 4: "a tetrahedron"}[classes]
        axes.set_title(f"{classes} classes: {name}\ncosine {cosine:.2f}, {angle:.1f} degrees")
    return figure


def noise_that_looks_collapsed() -> Figure:
    """NC2 and the noise ratio of real and of made-up classes, over the number of images for each."""
    counts = [3, 5, 8, 12, 20, 35, 60, 100, 180, 300]
    classes, width = 20, 256
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, width, generator=generator)
    # Real classes whose means overlap: a shared part keeps them away from the simplex.
    centres = 0.35 * (centres + 1.2 * torch.randn(classes, 4, generator=generator) @ torch.randn(4, width))
    rows: dict[str, list[tuple[float, float]]] = {"noise": [], "real": []}
    for count in counts:
        labels = torch.arange(classes * count) % classes
        noise = torch.randn(len(labels), width, generator=generator)
        for kind, features in (("noise", noise), ("real", noise + centres[labels])):
            wanted = ["nc2_angle_deviation_deg", "nc2_noise_ratio"]
            values = nctools.measure(features, labels, metrics=wanted).to_dict()["all"]
            rows[kind].append((values["nc2_angle_deviation_deg"], values["nc2_noise_ratio"]))
    figure = new_figure(DOUBLE_COLUMN, 2.3, constrained=True)
    told = {"noise": ("random features, random labels", "#D55E00"), "real": ("classes that differ", "#0072B2")}
    titles = ("distance of the angles from the simplex, degrees", "nc2_noise_ratio")
    for place, (axes, title) in enumerate(zip(figure.subplots(1, 2), titles, strict=True)):
        for kind, (label, colour) in told.items():
            axes.plot(counts, [row[place] for row in rows[kind]], marker="o", ms=3, color=colour, label=label)
        axes.set_xscale("log")
        axes.set_xticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
        axes.minorticks_off()
        axes.set_xlabel("images of each class")
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0.25, color=GREY, lw=0.8, ls="--")
    axes.annotate("a warning appears above 0.25", (300, 0.25), ha="right", va="bottom", color=GREY)
    axes.legend(loc="center left", bbox_to_anchor=(0.0, 0.68))
    return figure


def pooled_and_classwise() -> Figure:
    """The same images with one feature each, and with one feature for each of their classes."""
    generator = torch.Generator().manual_seed(1)
    sets = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    held = [sets[i] for i in torch.randint(0, 7, (180,), generator=generator)]
    targets = torch.zeros(180, 3)
    for image, labels in enumerate(held):
        targets[image, list(labels)] = 1
    pooled = targets @ TRIANGLE + 0.10 * torch.randn(180, 2, generator=generator)
    classwise = TRIANGLE.expand(180, 3, 2) + 0.10 * torch.randn(180, 3, 2, generator=generator)
    figure = new_figure(DOUBLE_COLUMN, 3.1, constrained=True)
    left, right = figure.subplots(1, 2)
    for axes, features, title in (
        (left, pooled, "one feature for each image"),
        (right, classwise, "one for each class"),
    ):
        plane(axes, 1.55)
        value = nctools.measure(features, targets).to_dict()["all"]["nc1_pinv"]
        axes.set_title(f"{title}: NC1 {value:.2g}")
        for c, colour in enumerate(COLOURS):
            have = targets[:, c] == 1
            points = features[have] if features.ndim == 2 else features[have, c]
            if features.ndim == 3:
                axes.scatter(*points.T, s=10, color=colour, alpha=0.5, linewidths=0)
            arrow(axes, points.mean(0), colour, width=1.8)
    for image, labels in enumerate(held):
        x, y = pooled[image].tolist()
        for turn, c in enumerate(labels):
            # A slice of colour for each label of the image.
            angles = torch.linspace(turn / len(labels), (turn + 1) / len(labels), 12) * 2 * math.pi
            slice_ = [(0.0, 0.0), *((math.cos(a), math.sin(a)) for a in angles.tolist())]
            left.scatter([x], [y], s=16, marker=slice_, color=COLOURS[c], alpha=0.6, linewidths=0)
    left.set_xlabel("each point is an image, its colours are its labels; arrows: class means")
    right.set_xlabel("each point is a label of an image")
    return figure


def long_tail() -> Figure:
    """Training images of each class of digits_lt, by group."""
    train = nctools.data.load_dataset("digits_lt", "train")
    counts = sorted(zip(train.class_counts, range(20), strict=True), reverse=True)
    group_of = {c: name for name, members in train.groups.items() for c in members}
    figure = new_figure(DOUBLE_COLUMN, 2.2, constrained=True)
    axes = figure.subplots()
    for place, (count, label) in enumerate(counts):
        axes.bar(place, count, color=GROUP_COLOURS[group_of[label]], width=0.8)
        axes.annotate(
            str(int(count)), (place, count), ha="center", va="bottom", xytext=(0, 2),
            textcoords="offset points", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(2, 1600)
    axes.set_yticks([10, 100, 1000], ["10", "100", "1000"])
    axes.minorticks_off()
    axes.set_xticks([])
    axes.set_xlabel("classes of digits_lt, most frequent first")
    axes.set_ylabel("training images")
    axes.spines[["top", "right"]].set_visible(False)
    for limit, text in ((100, "head: 100 or more"), (20, "tail: fewer than 20")):
        axes.axhline(limit, color=GREY, lw=0.7, ls="--", zorder=0)
        axes.annotate(text, (19.5, limit), ha="right", va="bottom", color=GREY)
    return figure


CONCEPTS: dict[str, Callable[[], Figure]] = {
    "concepts-collapse": collapse_in_the_plane,
    "concepts-simplex": simplexes,
    "concepts-noise": noise_that_looks_collapsed,
    "concepts-pooled": pooled_and_classwise,
    "concepts-long-tail": long_tail,
}


def with_epochs(runs: Path) -> Path:
    """A run of ERM that kept checkpoints on its way, as those of the demo do not; trained where it is missing."""
    from nctools.training import make_config, train

    folder = runs / "erm-epochs"
    if not (folder / "checkpoints" / "epoch=030.pt").exists():
        settings: dict[str, object] = {"checkpoint_every": 10, "nc.every": 0}
        train(make_config("erm", "digits_lt", settings), folder, progress=False)
    return folder


def geometry(runs: Path) -> dict[str, Drawing]:
    """Pictures of the guide "See"."""
    erm, control, mlc_nc = (runs / name for name in METHODS)
    layers = {"stem": "backbone.body.stem", "block1": "backbone.body.block1", "block2": "backbone.body.block2"}
    store = runs / "layers.h5"
    nctools.extract_checkpoint(
        erm / "checkpoints" / "last.pt",
        store,
        maps="mean",
        overwrite=True,
        layers=layers,
    )
    facts = nctools.data.describe_dataset(nctools.data.load_dataset("digits_lt", "train"))
    return {
        "see-angles": figures.angles_of([erm, mlc_nc]),
        "see-blocks": figures.blocks_of([erm, control, mlc_nc]),
        "see-per-class": figures.per_class_of([erm, mlc_nc]),
        "see-spectrum": figures.spectrum_of([erm, mlc_nc]),
        "see-layers": figures.layers_of(store),
        "see-distribution": figures.distribution_of(facts),
        "see-cooccurrence": figures.cooccurrence_of(facts),
        "see-map-bars": figures.map_bars_of([erm, control, mlc_nc], per_class=True),
        "see-logits": figures.logits_of([erm, mlc_nc]),
    }


def embeddings(runs: Path) -> dict[str, Drawing]:
    """Pictures of the guide "Embedding"."""
    both = [runs / "erm", runs / "mlc_nc"]
    return {
        "see-embedding-pca": figures.embedding_of(both),
        "see-embedding-umap": figures.embedding_of(both, method="umap"),
        "see-embedding-epochs": figures.embedding_of([with_epochs(runs)], epochs=[10, 20, 30], by="class"),
    }


def maps(runs: Path) -> dict[str, Drawing]:
    """Pictures of the guide "Class maps"."""
    erm, control, mlc_nc = (runs / name for name in METHODS)
    return {
        "see-attention": figures.class_maps_of([control, mlc_nc], images=2),
        "see-gradcam": figures.class_maps_of([erm, mlc_nc], method="gradcam", images=2),
    }


def save_small(figure: Figure, path: Path) -> None:
    """Save a picture; one of photographs or thousands of points with 256 colours, in less than half the bytes."""
    save_figure(figure, path)
    if path.stat().st_size > 140_000:
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def examples(runs: Path) -> None:
    """Pictures of the guides, from the runs of the demo."""
    for drawn in (geometry, embeddings, maps):
        for name, drawing in drawn(runs).items():
            save_small(drawing.figure, IMAGES / f"{name}.png")


def main() -> None:
    """Draw, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(CONCEPTS), default=list(CONCEPTS))
    parser.add_argument("--runs", type=Path, help="the folder of make demo")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    IMAGES.mkdir(exist_ok=True)
    for name in chosen.only:
        with style():
            save_figure(CONCEPTS[name](), IMAGES / f"{name}.png")
    if chosen.runs:
        examples(chosen.runs)


if __name__ == "__main__":
    main()
