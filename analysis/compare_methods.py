"""Compare all methods: test mAP by group and neural collapse on the training images, over seeds, each method tuned.

    python analysis/compare_methods.py                          # all methods on digits_lt, five seeds
    python analysis/compare_methods.py --methods erm db_focal   # these alone
    python analysis/compare_methods.py --head class_attention   # each loss on the class-wise head instead
    python analysis/compare_methods.py --smoke                  # an epoch or two of one seed: does it run?

Equal budget: each method has four settings (GRID below, first the usual one), each of which is trained once in full,
with seed 100, which is none of those compared. The setting with the highest validation mAP is then trained with each
seed. No choice sees the test split. Shorter runs (--tuning-epochs) may choose other settings. LWS takes ERM's setting,
for its first stage is ERM and its second can change no class's average precision. --no-tuning trains all with their
usual settings. Learning rates of the grid are those of digits_lt; elsewhere they are the same multiples of the usual
one.

--head class_attention uses the settings that were chosen on the linear head, gives each method that has a choice of
heads the class-wise one, and adds MLC-NC with other losses ("mlc_nc + db_focal"); its tables bear their own name.

With its defaults 149 runs of 1.3 to 2 minutes of one core: 100 to 150 minutes on two cores, not yet measured in one go.
Runs are kept in OUT, those of the tuning in OUT/tuning; a finished run is not trained again, and what was interrupted
goes on. Writes OUT/tables/compare_methods_*.csv and .md (_map, with the totals that the papers print for other data
sets; _collapse; _differences to ERM seed by seed; _tuning) and OUT/figures/compare_methods.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from nctools.methods import METHODS, default_recipe
from nctools.studies import (
    StudyArguments,
    Tuned,
    add_study_options,
    candidates_of,
    chosen_variants,
    configurable,
    report_comparison,
    run_script,
    run_study,
    study_arguments,
    tune,
    with_head,
    with_loss,
)

NAME = "compare_methods"
TUNING_SEED: Final = 100
RATE: Final = "recipe.max_lr"
USUAL: Final = 3e-3
Rows = list[dict[str, object]]


def _two_rates(key: str, *values: object) -> Rows:
    return [{RATE: rate, key: value} for value in values for rate in (USUAL, 1e-2)]


FOUR_RATES: Final[Rows] = [{RATE: rate} for rate in (USUAL, 6e-3, 1e-2, 2e-2)]
TWO_SAMPLERS: Final = _two_rates("recipe.sampler", "uniform", "class_aware")
GRID: Final[Mapping[str, Rows]] = {
    "erm": FOUR_RATES,
    "rs": FOUR_RATES,
    "rw": FOUR_RATES,
    "focal": TWO_SAMPLERS,
    "cb_focal": _two_rates("beta", 0.99, 0.9),
    "ldam": _two_rates("max_margin", 0.5, 1.0),
    "asl": TWO_SAMPLERS,
    "p_asl": TWO_SAMPLERS,
    "hill": TWO_SAMPLERS,
    "db": _two_rates("lambd", 2.0, 5.0),
    "db_focal": _two_rates("lambd", 2.0, 5.0),
    "two_way": TWO_SAMPLERS,
    "mfm": TWO_SAMPLERS,
    "pseudo_label": _two_rates("threshold", 0.5, 0.7),
    "class_attention": FOUR_RATES,
    "mlc_nc": _two_rates("fpc_weight", 0.1, 0.2),
}
FOLLOWS: Final = {"lws": "erm"}
ELSEWHERE: Final = ("voc_lt", "coco_lt")
ONLY_PRINTED: Final[tuple[str, ...]] = ("pg", "cae_net")
COMBINED: Final = ("bce", "asl", "db_focal")


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="these methods alone (default: all)")
    parser.add_argument("--no-tuning", action="store_true", help="train all with their usual settings")
    parser.add_argument("--tuning-epochs", type=int, help="epochs of each run of the tuning (default: all)")
    parser.add_argument("--head", choices=["linear", "class_attention"], default="linear")
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    tuned = tuned_variants(options, arguments)
    variants = [tuned.chosen[name] for name in options.methods if name in tuned.chosen]
    name, first, only_printed = NAME, "erm", ONLY_PRINTED
    if options.head != "linear":
        name, first, only_printed = f"{NAME}_{options.head}", "erm, class-wise head", ()
        variants = [with_head(variant, options.head) for variant in variants]
        full = tuned.chosen.get("mlc_nc")
        variants += [] if full is None else [with_loss(full, loss) for loss in COMBINED]
    kept = configurable({variant.name: [variant] for variant in variants}, dataset=options.dataset)
    if not kept:
        return 1
    study = run_study(chosen_variants([row for rows in kept.values() for row in rows], options), **arguments)
    printed = {"elsewhere": ELSEWHERE, "only_printed": only_printed}
    report_comparison(name, study.runs, arguments["out"], reference=first, tuning=tuned.table, **printed)
    complete = {*options.methods} <= {*tuned.chosen} and {variant.name for variant in variants} <= {*kept}
    return study.exit_code if complete and not tuned.failed else 1


def tuned_variants(options: argparse.Namespace, arguments: StudyArguments) -> Tuned:
    """Choose the settings of the methods that are asked for, and of those whose settings they take."""
    dataset, settings = options.dataset, arguments["settings"]
    grid = {name: grid_of(name, dataset) for name in (FOLLOWS.get(name, name) for name in options.methods)}
    epochs = 1 if options.smoke else options.tuning_epochs
    if options.no_tuning:
        grid = {name: [{}] for name in grid}
    elif options.smoke:
        # To see that it runs, the first and the last setting will do.
        grid = {name: [*rows[:1], *rows[1:][-1:]] for name, rows in grid.items()}
    candidates = {name: candidates_of(name, name, rows) for name, rows in grid.items()}
    tuned = tune(
        configurable(candidates, dataset=dataset, settings=settings),
        out=arguments["out"],
        dataset=dataset,
        data_root=arguments["data_root"],
        seed=TUNING_SEED,
        jobs=arguments["jobs"],
        settings={**settings, **({} if epochs is None else {"recipe.epochs": epochs}), "nc.every": 0},
        force=arguments["force"],
    )
    for name, other in FOLLOWS.items():
        if name in options.methods and other in tuned.chosen:
            own = candidates_of(name, name, [grid[other][0], tuned.chosen[other].settings])[-1]
            tuned.chosen[name] = replace(own, name=name, run_name=own.name)
    return tuned


def grid_of(method: str, dataset: str) -> Rows:
    """List the settings of a method; learning rates in proportion to the usual one of the data set."""
    factor = default_recipe("erm", dataset).max_lr / USUAL
    rates: dict[object, float] = {rate: float(f"{rate * factor:.3g}") for rate in (USUAL, 6e-3, 1e-2, 2e-2)}
    return [{**row, RATE: rates[row[RATE]]} for row in GRID.get(method, [])] or [{}]


if __name__ == "__main__":
    run_script(main)
