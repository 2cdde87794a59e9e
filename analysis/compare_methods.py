"""Compare training methods: test mAP by group and neural collapse on the training images, over seeds.

    python analysis/compare_methods.py                     # erm, class_attention, mlc_nc on digits_lt, five seeds
    python analysis/compare_methods.py --smoke             # two epochs, one seed: does it run?

With its defaults 12 minutes on two cores. The checkpoint that is scored is chosen on validation mAP. Runs are kept in
OUT/METHOD-sSEED and shared with the other studies; a finished run is not trained again, and what was interrupted goes
on. Writes OUT/tables/compare_methods_*.csv and .md (mean and standard deviation over seeds; differences to MLC-NC seed
by seed; the paper's values where the data set is the paper's) and OUT/figures/compare_methods.png.
"""

from __future__ import annotations

import argparse

from nctools.plots import save_figure, variant_scores
from nctools.studies import (
    VARIANTS,
    Variant,
    add_study_options,
    chosen_variants,
    markdown,
    printed_values,
    run_script,
    run_study,
    run_table,
    scores_by_group,
    study_arguments,
    study_tables,
    write_tables,
)

NAME = "compare_methods"


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["mlc_nc", "class_attention", "erm"])
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    variants = [VARIANTS.get(method) or Variant(method, method) for method in options.methods]
    study = run_study(chosen_variants(variants, options), **arguments)
    if not study.runs:
        return study.exit_code
    values = run_table(study.runs)
    tables = study_tables(NAME, study.runs, values)
    write_tables(tables, arguments["out"] / "tables")
    scores = scores_by_group(values)
    figure = variant_scores(scores, printed_values(study.runs))
    save_figure(figure, arguments["out"] / "figures" / f"{NAME}.png", scores)
    for name, table in tables.items():
        if not name.endswith("_runs"):
            print(f"{name}\n\n{markdown(table)}")
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
