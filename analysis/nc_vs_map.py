"""Does neural collapse on the training images go with test mAP, over runs and over epochs?

    python analysis/nc_vs_map.py                           # digits_lt, five seeds: 27 minutes on two cores
    python analysis/nc_vs_map.py --smoke                   # two epochs, one seed: does it run?

Spearman's rank correlations, by metric and group of classes. More collapse is a smaller number: a negative correlation
means that more collapse goes with higher mAP.

Over runs: NC at the last epoch against test mAP of the same network (last.pt; the other studies score the checkpoint
that is best on validation). Over all runs it compares methods that differ in much else, and the feature spaces of ERM
(one feature for each image) and of the others (one for each class) are not the same thing; the interval comes from
drawing whole variants. Inside variants (both numbers less the mean of the variant) only the seed differs; the interval
is Fisher's, less a degree of freedom for each variant. Over epochs: NC against validation mAP of the same epochs of one
run, averaged over variants, whose number the interval (Student's t) counts. Both change as training goes on, whether or
not one has to do with the other, so the changes between measured epochs are correlated as well. A correlation is no
proof that one makes the other; an interval over few runs is wide, and many cells were looked at.

Runs are kept in OUT and shared with the other studies; a finished run is not trained again, and what was interrupted
goes on. Writes OUT/tables/nc_vs_map_*.csv and .md and OUT/figures/nc_vs_map.png.
"""

from __future__ import annotations

import argparse

import pandas as pd

from nctools.plots import value_against_value
from nctools.studies import (
    STUDY_METRICS,
    VARIANTS,
    add_study_options,
    chosen_variants,
    epoch_values,
    over_epochs,
    over_runs,
    run_script,
    run_study,
    run_table,
    scores_by_group,
    study_arguments,
    write_report,
)

NAME = "nc_vs_map"
SHOWN = ("mlc_nc", "without L_FLA", "without L_FPC", "label embedding trainable", "class_attention", "erm")


def pairs_of(values: pd.DataFrame) -> pd.DataFrame:
    """List NC and test mAP of each run, metric and group."""
    scores = scores_by_group(values).rename(columns={"value": "score"})
    parts = [
        scores.merge(scores_by_group(values, f"{metric} "), on=["variant", "seed", "group"]).assign(metric=metric)
        for metric in STUDY_METRICS
    ]
    return pd.concat(parts, ignore_index=True).dropna()


def notes_of(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Write the correlation over all runs and inside variants above each panel."""
    notes: dict[tuple[str, str], str] = {}
    for row in table.to_dict("records"):
        short = "all" if row["kind"] == "all runs" else "inside"
        known = row["low"] == row["low"]  # NaN differs from itself
        words = f"ρ {short} {row['rho']:+.2f}" + (f" [{row['low']:+.2f}, {row['high']:+.2f}]" if known else "")
        key = (str(row["metric"]), str(row["group"]))
        notes[key] = f"{notes[key]}\n{words}" if key in notes else words
    return notes


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    study = run_study(chosen_variants([VARIANTS[name] for name in SHOWN], options), **arguments)
    if not study.runs:
        return study.exit_code
    values, epochs = run_table(study.runs, scored="last"), epoch_values(study.runs)
    correlations, pairs = over_runs(values), pairs_of(values)
    write_report(
        NAME,
        {f"{NAME}_over_runs": correlations, f"{NAME}_over_epochs": over_epochs(epochs)},
        arguments["out"],
        rows={f"{NAME}_epochs": epochs},
        figure=lambda: value_against_value(pairs, notes=notes_of(correlations)),
        drawn=pairs,
    )
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
