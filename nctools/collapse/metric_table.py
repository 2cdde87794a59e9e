"""What a row of the catalogue says, and the sentences that many rows share. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Need = Literal[
    "class means",
    "spread",
    "second pass",
    "nearest mean",
    "D x D scatter",
    "pair spread",
    "feature lengths",
    "classifier",
    "label sets",
    "labels",
    "all images",
    "halves",
    "OOD mean",
    "C x C eigenproblem",
]
Kind = Literal["single", "classwise", "shared"]
ANY_KIND: Final[tuple[Kind, ...]] = ("single", "classwise", "shared")
# What one pass over the pairs gives, or is there without any.
_ONE_PASS: Final = frozenset({"class means", "spread", "classifier", "OOD mean", "C x C eigenproblem"})


@dataclass(frozen=True)
class Metric:
    """One row of the catalogue.

    Args:
        id: Public name: API key, CSV column, plot title.
        symbol: NC1, NC2, ...
        title: What it is, in a few words.
        formula: How it is computed.
        source: Where the definition comes from.
        limit: Value at perfect collapse.
        direction: Which way collapse lies, as an arrow and a number.
        needs: What must be known to compute it.
        cost: What it costs beyond the class means: N pairs, C classes, D numbers in a feature, r dimensions that the
            class means span, Q label sets.
        aggregator: How numbers of classes become the value of a group.
        settings: The settings of ``compute_metrics`` that change it, besides those that choose pairs (``min_count``,
            ``multiplicity``).
        kinds: Kinds of features it is defined for.
    """

    id: str
    symbol: str
    title: str
    formula: str
    source: str
    limit: str
    direction: str
    needs: tuple[Need, ...]
    cost: str
    aggregator: str
    settings: tuple[str, ...]
    kinds: tuple[Kind, ...] = ANY_KIND

    @property
    def one_pass(self) -> bool:
        """Whether statistics of one pass over the pairs are enough, without the features."""
        return _ONE_PASS.issuperset(self.needs)

    def definition(self) -> dict[str, object]:
        """Give the row as plain values.

        Returns:
            JSON-ready values.
        """
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}


# How the value of a group comes about.
MEAN: Final = "mean over the classes of the group; classes without a value are left out"
WEIGHTED: Final = f"{MEAN}; with weighting='sample' each class counts n_c times"
RMS: Final = "root mean square over the classes of the group; over all classes the Frobenius norm"
SPREAD: Final = "over the classes of the group; NaN for a single class; a class alone has no value"
QUOTIENT: Final = "sum of numerators over sum of denominators"
PAIR: Final = "mean over pairs with one end in the group and the other anywhere (pairs='within': both ends inside)"
PAIR_SPREAD: Final = "over the pairs with one end in the group, each pair once (pairs='within': both ends inside)"
LEAST: Final = "smallest over pairs with one end in the group and the other anywhere (pairs='within': both ends inside)"
INSIDE: Final = "pairs with both ends in the group, whatever pairs says, their mean; of a class, over all its pairs"
WHOLE: Final = "of the whole space; groups have it with scope='within' only"
# For rows of the classifier, which every declared class has.
DECLARED: Final = "; every declared class counts, also without pairs"

# Sources and settings of many rows.
PAPYAN: Final = "Papyan, Han & Donoho, PNAS 2020"
ZHU: Final = "Zhu et al., NeurIPS 2021"
GALANTI: Final = "Galanti, György & Hutter, ICLR 2022"
WU: Final = "Wu & Papyan, NeurIPS 2024"
NC1_SETTINGS: Final = ("centre", "weighting", "ddof", "scope")
CENTRED: Final = ("centre", "scope")
CENTRED_PAIRS: Final = ("centre", "scope", "pairs")
PAIR_SETTINGS: Final = ("scope", "pairs")
NC4_SETTINGS: Final = ("weighting", "scope", "sample_pairs")
ETF_ANGLE: Final = "arccos(-1/(C-1))"
TO_ETF_ANGLE: Final = f"→ {ETF_ANGLE}"
