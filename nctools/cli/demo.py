"""``nctools demo``: the main job on the embedded data, from training to figures, in a few minutes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nctools.cli.output import number, print_table, say
from nctools.errors import ConfigError
from nctools.run_directory import RunDirectory, replace_atomically

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult
    from nctools.evaluation.summary import Evaluation

METHODS = ("erm", "class_attention", "mlc_nc")
DATASET = "digits_lt"
QUICK_EPOCHS = 6
_GROUPS = ("all", "head", "medium", "tail")
_SHOWN = ("all", "tail")
_COLLAPSE = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")


def run(
    out: Annotated[Path, typer.Option("--out", help="Where everything goes; a run directory for each method.")] = Path(
        "runs/demo"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help=f"A first look: {QUICK_EPOCHS} epochs, under a minute.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the training runs.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier demo in the same folder.")] = False,
) -> None:
    """Train ERM, the attention control and MLC-NC on the embedded data; evaluate, extract, measure, plot, report.

    Needs no download. About 4 minutes on two cores; with --quick about a minute (too short to see collapse).
    """
    from nctools.report.writing import write_report
    from nctools.training import make_config, train

    started = time.perf_counter()
    _clear(out, force=force)
    settings: dict[str, object] = {"seed": seed}
    if quick:
        settings |= {"recipe.epochs": QUICK_EPOCHS, "nc.every": 2}
    runs = []
    for index, method in enumerate(METHODS, start=1):
        config = make_config(method, DATASET, settings)
        say(f"[{index}/{len(METHODS)}] {method} on {DATASET}, {config.recipe.epochs} epochs")
        try:
            runs.append(train(config, out / method, force=force))
        except KeyboardInterrupt:
            say(f"interrupted; what was finished is in {out}")
            raise typer.Exit(130) from None
    say("evaluating on test, extracting and measuring on train")
    evaluations = {finished.path.name: _evaluate(finished) for finished in runs}
    results = {finished.path.name: _measure(finished) for finished in runs}
    _print_comparison(evaluations, results, out / "comparison.csv")
    say("drawing, and writing the report")
    figures = _draw(runs, out / "figures")
    report = write_report([finished.path for finished in runs], out / "report.html", overwrite=True, tell=_nothing)
    made = [report, *figures, out / "comparison.csv", *(finished.path for finished in runs)]
    sys.stdout.write("made:\n" + "".join(f"  {path}\n" for path in made))
    say(f"done in {time.perf_counter() - started:.0f} s; open {report} in a browser")


def _nothing(line: str) -> None:
    """The report is a matter of seconds: no talk about its steps."""


def _clear(out: Path, *, force: bool) -> None:
    taken = [out / method for method in METHODS if (out / method).exists()]
    if taken and not force:
        raise ConfigError(f"{taken[0]} exists already: replace the earlier demo with --force, or choose another --out")


def _evaluate(finished: RunDirectory) -> Evaluation:
    from nctools.run_scores import scores_of

    # The checkpoint is chosen on validation mAP, the test images are seen once: figures and report take these scores.
    return scores_of(finished.path, split="test").evaluate()


def _measure(finished: RunDirectory) -> CollapseResult:
    from nctools.checkpoints import extract_checkpoint
    from nctools.measurement import measure

    target = finished.features / "train.h5"
    with extract_checkpoint(finished.checkpoints / "last.pt", target, split="train", progress=False) as store:
        result = measure(store)
    result.save(finished.path / "nc.json")
    return result


def _print_comparison(evaluations: dict[str, Evaluation], results: dict[str, CollapseResult], path: Path) -> None:
    import pandas as pd

    rows: list[dict[str, str | float]] = []
    for method, evaluation in evaluations.items():
        values = results[method].to_dict()
        rows.append(
            {
                "method": method,
                "space": results[method].spaces[0],
                **{f"test mAP {group} (%)": 100 * evaluation.mean_average_precision[group] for group in _GROUPS},
                **{
                    f"train {metric} {group}": values[group][metric]
                    for metric in _COLLAPSE
                    for group in ("all", "tail")
                },
            }
        )
    with replace_atomically(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    print_table(
        "digits_lt: test mAP in %, NC on the training images (all classes / tail)",
        ["method", "space", *(f"mAP\n{group}" for group in _GROUPS), "NC1", "tail", "NC2", "tail", "NC3", "tail"],
        [[value if isinstance(value, str) else number(value, 3) for value in row.values()] for row in rows],
        caption=(
            "mAP: best checkpoint on validation. NC: last checkpoint, the method's main space; NC1 nc1_pinv, "
            "NC2 nc2_etf_error, NC3 nc3_self_duality: smaller is more collapsed"
        ),
    )


def _draw(runs: list[RunDirectory], folder: Path) -> list[Path]:
    from nctools import figures
    from nctools.data.description import describe_dataset
    from nctools.data.loading import load_dataset

    paths = [finished.path for finished in runs]
    drawn = {
        "nc-curves": figures.curves_of(paths, metrics=_COLLAPSE),
        "angles": figures.angles_of(paths),
        "embedding": figures.embedding_of(paths),
        "map-bars": figures.map_bars_of(paths),
        "logits": figures.logits_of(paths),
        "attention": figures.class_maps_of(paths[1:]),
        "distribution": figures.distribution_of(describe_dataset(load_dataset(DATASET))),
    }
    return [figures.save_drawing(drawing, folder / f"{name}.png")[0] for name, drawing in drawn.items()]
