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

from nctools.studies import (
    VARIANTS,
    Variant,
    add_study_options,
    chosen_variants,
    report_scores,
    run_script,
    run_study,
    study_arguments,
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
    report_scores(NAME, study.runs, arguments["out"])
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
