"""How wide should the projected class-wise features of MLC-NC be?

    python analysis/projection_width.py                    # digits_lt, five widths, five seeds: 25 minutes on two cores
    python analysis/projection_width.py --smoke            # two epochs, one seed: does it run?

Widths are 5 10 20 64 128 on digits_lt and those of the paper, 20 64 128 256 512 768, elsewhere. Runs are kept in OUT
and shared with the other studies; a finished run is not trained again, and what was interrupted goes on. Writes
OUT/tables/projection_width_*.csv and .md and OUT/figures/projection_width.png, on VOC-LT with the paper's totals.
"""

from __future__ import annotations

import argparse

from nctools.plots import save_figure, score_over_setting
from nctools.studies import (
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
    if not study.runs:
        return study.exit_code
    values = run_table(study.runs)
    reference = "p=20" if "p=20" in set(values["variant"]) else None
    tables = study_tables(NAME, study.runs, values, reference=reference, paper_table="projection width")
    write_tables(tables, arguments["out"] / "tables")
    scores = scores_by_group(values)
    scores["setting"] = scores["variant"].map(of_variant)
    printed = printed_values(study.runs, table="projection width")
    printed["setting"] = printed["variant"].map(of_variant)
    figure = score_over_setting(scores, printed, setting="width p of the projected features")
    save_figure(figure, arguments["out"] / "figures" / f"{NAME}.png", scores)
    for name, table in tables.items():
        if not name.endswith("_runs"):
            print(f"{name}\n\n{markdown(table)}")
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
