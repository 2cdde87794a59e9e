"""Options of a measurement that change its numbers, or what it takes to get them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from nctools.cli.data_options import checked_rule


class Averaged(StrEnum):
    """Mean over classes or over samples."""

    by_class = "class"
    by_sample = "sample"


class Scope(StrEnum):
    """Frame of a group's values."""

    across = "global"
    within = "within"


class Convention(StrEnum):
    """Settings of a published code."""

    papyan = "papyan"
    zhu = "zhu"
    rhubarbwu = "rhubarbwu"


class Precision(StrEnum):
    """Type of the products of the second pass."""

    auto = "auto"
    float32 = "float32"
    float64 = "float64"


class Ends(StrEnum):
    """Where the other end of a pair of classes may be."""

    anywhere = "any"
    within = "within"


_NUMBERS: Final = "Settings that change the numbers"
_SIZE: Final = "Large data"


Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        callback=checked_rule,
        metavar="RULE",
        help="Thresholds of the training counts (100,20), quantiles:0.33,0.67, or a JSON file "
        '{"name": [classes], ...}. Default: those of the checkpoint or data, head / medium / tail.',
    ),
]
Metrics = Annotated[
    str,
    typer.Option("--metrics", help="default, long-tail, all, or ids: nc1_pinv,nc2_etf_error (see: nctools metrics)."),
]
Space = Annotated[
    list[str] | None, typer.Option("--space", help="Feature space, repeatable. Default: all of the file or method.")
]
Centre = Annotated[
    Averaged, typer.Option("--centre", help="Global mean over class means or samples.", rich_help_panel=_NUMBERS)
]
Weighting = Annotated[
    Averaged, typer.Option("--weighting", help="NC1, NC4: mean over classes or samples.", rich_help_panel=_NUMBERS)
]
ScopeOption = Annotated[
    Scope,
    typer.Option("--scope", help="Frame of a group: all classes, or the group alone.", rich_help_panel=_NUMBERS),
]
ConventionOption = Annotated[
    Convention | None,
    typer.Option("--convention", help="Settings of a published code, for comparison.", rich_help_panel=_NUMBERS),
]
Ddof = Annotated[
    int,
    typer.Option(
        "--ddof",
        min=0,
        max=1,
        help="Spread of a class of n pairs over n (0, as in the literature) or n - 1 (1, unbiased for small n).",
        rich_help_panel=_NUMBERS,
    ),
]
Pairs = Annotated[
    Ends,
    typer.Option(
        "--pairs",
        help="Angles and other pair metrics of a group: the other class anywhere, or within the group too.",
        rich_help_panel=_NUMBERS,
    ),
]
MinCount = Annotated[
    int,
    typer.Option(
        "--min-count",
        min=1,
        help="Leave out classes with fewer pairs, as if absent: their means are mostly noise.",
        rich_help_panel=_NUMBERS,
    ),
]
Multiplicity = Annotated[
    int | None,
    typer.Option(
        "--multiplicity",
        min=1,
        help="Only images with exactly so many labels; 1 makes multi-label data comparable with single-label data.",
        rich_help_panel=_NUMBERS,
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Products of the second pass. auto: float32 for many pairs of short floats, with values as of float64 "
        "to about 1e-6; sums are float64 in any case.",
        rich_help_panel=_NUMBERS,
    ),
]
SamplePairs = Annotated[
    int | None,
    typer.Option(
        "--sample-pairs",
        min=1,
        help="NC4 looks at about so many pairs, the same ones each time. The standard error of a share is at most "
        "0.5 / sqrt(pairs): 20000 pairs give 0.0035.",
        rich_help_panel=_SIZE,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        help="Most memory for arrays: 512M, 4G, 2GiB. Values stay the same; what does not fit is done in parts, or "
        "refused with the metrics that need it. Default: what is fastest.",
        rich_help_panel=_SIZE,
    ),
]
Bootstrap = Annotated[
    int | None,
    typer.Option(
        "--bootstrap",
        min=2,
        help="Give each value an interval, from so many resamplings of the images.",
    ),
]
Confidence = Annotated[
    float, typer.Option("--confidence", help="Share of the resamplings between the ends of an interval.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of --bootstrap and --references.")]
MeansFrom = Annotated[
    Path | None,
    typer.Option(
        "--means-from",
        help="Feature file of another split: class means come from it, NC1 and NC4 judge these features.",
    ),
]
Ood = Annotated[
    Path | None,
    typer.Option("--ood", help="Feature file of images from outside the classes, same layers: adds NC5."),
]
References = Annotated[
    bool, typer.Option("--references", help="Also show what random features and perfect collapse would give.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only tell what would be kept in memory, what done in tiles, and how often the data are read.",
        rich_help_panel=_SIZE,
    ),
]
