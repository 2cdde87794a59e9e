"""Figure 3 of MLC-NC: the mean angle of each class's feature mean to those of the other classes.

    python analysis/class_angles.py                        # digits_lt, five seeds: 18 minutes on two cores
    python analysis/class_angles.py --smoke                # two epochs, one seed: does it run?

For MLC-NC with ETF (mlc_nc), trainable and random label embeddings and for the control. Angles are those of the
class-wise features of the training images, last epoch. They are drawn twice: of the means as they are ("uncentred", as
in the paper's figure) and less the mean over classes ("centred", which neural collapse is about). Centred means of any
kind have angles of about arccos(-1 / (C - 1)) on average, so that only the spread over classes tells something there.

Runs are kept in OUT and shared with the other studies; a finished run is not trained again, and what was interrupted
goes on. Writes OUT/tables/class_angles_*.csv and .md and OUT/figures/class_angles.png.
"""

from __future__ import annotations

import argparse

import pandas as pd

from nctools.collapse import etf_angle_deg
from nctools.plots import class_angle_lines
from nctools.studies import (
    VARIANTS,
    add_study_options,
    chosen_variants,
    class_table,
    printed_values,
    run_script,
    run_study,
    study_arguments,
    summary_table,
    with_printed,
    write_report,
)

NAME = "class_angles"
SHOWN = ("mlc_nc", "label embedding trainable", "label embedding random", "class_attention")
RAW, CENTRED = "nc2_mean_angle_raw_deg", "nc2_mean_angle_deg"
PANELS = {RAW: "uncentred class means", CENTRED: "centred class means"}


def by_run(classes: pd.DataFrame) -> pd.DataFrame:
    """Average the classes of each run, all and by group; also the spread over classes."""
    rows = []
    for (variant, seed), part in classes.groupby(["variant", "seed"], sort=False):
        row: dict[str, object] = {"variant": variant, "seed": seed}
        for column, words in ((RAW, "uncentred angle"), (CENTRED, "centred angle")):
            row[f"{words} all"] = part[column].mean()
            row |= {f"{words} {group}": rows[column].mean() for group, rows in part.groupby("group", sort=False)}
            row[f"{words} sd over classes"] = part[column].std()
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    study = run_study(chosen_variants([VARIANTS[name] for name in SHOWN], options), **arguments)
    if not study.runs:
        return study.exit_code
    classes = class_table(study.runs, metrics=[RAW, CENTRED])
    runs = by_run(classes)
    printed = printed_values(study.runs, RAW)
    summary = with_printed(summary_table(runs), printed, "uncentred angle {group}")
    etf = etf_angle_deg(classes["class_index"].nunique())
    write_report(
        NAME,
        {f"{NAME}_summary": summary},
        arguments["out"],
        rows={f"{NAME}_runs": runs},
        figure=lambda: class_angle_lines(classes, PANELS, etf_angle=etf),
        drawn=classes,
    )
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
