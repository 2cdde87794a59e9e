"""How wide should the projected class-wise features of MLC-NC be?

    python analysis/projection_width.py                    # digits_lt, five widths, five seeds: 25 minutes on two cores
    python analysis/projection_width.py --smoke            # two epochs, one seed: does it run?

Widths are 5 10 20 64 128 on digits_lt and those of the paper, 20 64 128 256 512 768, elsewhere. Runs are kept in OUT
and shared with the other studies; a finished run is not trained again, and what was interrupted goes on. Writes
OUT/tables/projection_width_*.csv and .md and OUT/figures/projection_width.png, on VOC-LT with the paper's totals.
"""

from __future__ import annotations

import argparse

import pandas as pd
from matplotlib.figure import Figure

from nctools.plots import score_over_setting
from nctools.studies import (
    Variant,
    add_study_options,
    chosen_variants,
    report_scores,
    run_script,
    run_study,
    study_arguments,
)

NAME = "projection_width"
WIDTHS = {"digits_lt": [5, 10, 20, 64, 128]}
PAPER_WIDTHS = [20, 64, 128, 256, 512, 768]


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", nargs="+", type=int, help="widths p to try")
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    widths = options.widths or WIDTHS.get(options.dataset, PAPER_WIDTHS)
    of_variant = {f"p={width}": width for width in widths}
    variants = [
        Variant(name, "mlc_nc", {"projection_features": width}, paper=f"projection_features={width}")
        for name, width in of_variant.items()
    ]
    study = run_study(chosen_variants(variants, options), **arguments)

    def draw(scores: pd.DataFrame, printed: pd.DataFrame) -> Figure:
        for table in (scores, printed):
            table["setting"] = table["variant"].map(of_variant)
        return score_over_setting(scores, printed, setting="width p of the projected features")

    report_scores(NAME, study.runs, arguments["out"], reference="p=20", paper_table="projection width", draw=draw)
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
