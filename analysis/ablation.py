"""Take MLC-NC apart: which of its parts changes test mAP and neural collapse, and by how much more than the seed does?

    python analysis/ablation.py                            # digits_lt, five seeds: about 40 minutes on two cores
    python analysis/ablation.py --smoke                    # two epochs, one seed: does it run?
    python analysis/ablation.py --dataset voc_lt --data-root VOCdevkit --text glove.csv

A run on digits_lt takes 1.8 minutes of one core, ERM 1.1; --jobs runs are trained at a time. Rows: the full method;
without L_FLA; without L_FPC; without the binarized fixed ETF classifier (BEC: a trainable random classifier on each
class's own feature); label embedding trainable, random, or from the file of --text; the other attention (cosine where
the data set's default is multihead, and the reverse); the control (class_attention: the same head, all trainable, with
binary cross entropy) and ERM. Settings were chosen for the full method alone, and each variant is trained with them.

Runs are kept in OUT and shared with the other studies; a finished run is not trained again, and what was interrupted
goes on. Writes OUT/tables/ablation_*.csv and .md and OUT/figures/ablation.png; differences are seed by seed, to the
full method. Beside them stand the paper's values where the data set is the paper's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

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
from nctools.training import make_config

NAME = "ablation"


def variants_of(dataset: str, text: str | None) -> list[Variant]:
    """List the rows of the study; the attention that the data set has by default is the full method's."""
    usual = make_config("mlc_nc", dataset).arguments.get("attention") or "cosine"
    rows = [variant for name, variant in VARIANTS.items() if name != f"attention {usual}"]
    if text is not None:
        settings = {"label_embedding": f"text:{Path(text).absolute()}"}
        rows.insert(-2, Variant("label embedding text", "mlc_nc", settings, paper=None))
    return rows


def main() -> int:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", metavar="FILE", help="vectors of the class names, for one more label embedding")
    options = add_study_options(parser).parse_args()
    arguments = study_arguments(options)
    study = run_study(chosen_variants(variants_of(options.dataset, options.text), options), **arguments)
    report_scores(NAME, study.runs, arguments["out"])
    return study.exit_code


if __name__ == "__main__":
    run_script(main)
