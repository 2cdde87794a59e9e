"""What a measurement will hold in memory, before it starts, and how it is made to fit a limit."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nctools.collapse.catalogue import METRICS
from nctools.collapse.collect import CROSS_FIT, LABEL_SETS, NEAREST, SECOND_PASS
from nctools.collapse.frame import TABLE_NUMBERS
from nctools.collapse.functions import PAIR_FUNCTIONS
from nctools.collapse.label_sets import MAX_SETS
from nctools.collapse.residuals import block_rows
from nctools.collapse.rows import TILE_NUMBERS
from nctools.collapse.settings import Settings

How = Literal["kept", "tiled", "dropped"]
_UNITS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
# Matrices of the size of a tile that exist together: products, lengths, distances, values, and what sums them up.
_TILES: Final = 8
# Matrices of the size of C x C in a singular value decomposition and what is made of it.
_SELI: Final = 8
_SMALL_TILE: Final = 1 << 16
_BLOCKS: Final = 64 << 20  # a batch of the stream, and blocks of it in float64
_ETF_ERRORS: Final = frozenset({"nc2_etf_error", "nc2_etf_error_w", "nc2_etf_error_debiased", "nc3_etf_error"})
_UNIT_ROWS: Final = ("_deg", "minority_angle", "nc2g_", "angle_deg")


@dataclass(frozen=True)
class MemoryItem:
    """One thing that takes memory.

    Args:
        what: Its name and shape.
        bytes: Its size; of a tiled thing what is held at once, of a dropped one what it would take.
        how: ``"kept"`` from when it is made to the end, ``"tiled"`` (part by part, or for a while only), or
            ``"dropped"``: computed anew where it is needed.
        metrics: The metrics that need it; empty where all do.
    """

    what: str
    bytes: int
    how: How
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemoryPlan:
    """What a measurement holds in memory beside the features that the caller holds.

    Args:
        items: Everything of note.
        tile_numbers: Numbers in one tile of a C x C matrix.
        table_numbers: Up to so many numbers, C x C tables are kept for the second pass.
        passes: How often the pairs are read.
        notes: Sentences.
    """

    items: tuple[MemoryItem, ...]
    tile_numbers: int
    table_numbers: int
    passes: int
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Most bytes at once: what is kept, and the largest of what is there for a while."""
        passing = max((item.bytes for item in self.items if item.how == "tiled"), default=0)
        return sum(item.bytes for item in self.items if item.how == "kept") + passing


def parse_memory(limit: int | str) -> int:
    """Read an amount of memory.

    Args:
        limit: Bytes, or text as ``"512M"``, ``"4G"`` or ``"2GiB"``; every unit is a power of 1024.

    Returns:
        Bytes.

    Raises:
        ValueError: If it is no amount of memory, or not positive.

    Example:
        >>> parse_memory("2GiB"), parse_memory("1.5k"), parse_memory(100)
        (2147483648, 1536, 100)
    """
    found = None if isinstance(limit, bool) else _SIZE.fullmatch(str(limit).strip())
    amount = int(float(found[1]) * (1 << _UNITS[found[2].upper()])) if found else 0
    if amount < 1:
        raise ValueError(f"max_memory is {limit!r}: give bytes, or an amount as '512M', '4G' or '2GiB'")
    return amount


def plan_memory(
    num_classes: int,
    num_features: int,
    num_pairs: int,
    ids: Sequence[str],
    settings: Settings,
    max_memory: int | str | None = None,
) -> MemoryPlan:
    """Plan what to keep, what to do in tiles, and what to compute anew.

    Counts the arrays that grow with classes and width, each as if all classes were present. The interpreter, the
    libraries, features that the caller holds and results by class (0.5 KiB for each with 5 metrics, 3.5 with 60)
    come on top.

    Args:
        num_classes: C.
        num_features: D.
        num_pairs: Pairs in one pass; about, if it is not known.
        ids: Metrics, as ``catalogue.metric_ids`` gives them.
        settings: What changes the numbers.
        max_memory: Limit in bytes or as text; None plans without one.

    Returns:
        The plan.

    Raises:
        ValueError: If the limit is no amount of memory, or too little even in the smallest tiles.

    Example:
        >>> plan = plan_memory(1000, 512, 10**6, ["nc1_pinv"], Settings(), max_memory="1G")
        >>> plan.passes, plan.total < 1 << 30
        (2, True)
    """
    parts = _Parts(num_classes, num_features, num_pairs, tuple(ids), settings)
    if max_memory is None:
        return parts.plan(TILE_NUMBERS, TABLE_NUMBERS)
    limit = parse_memory(max_memory)
    large = [size for size in (TILE_NUMBERS >> step for step in range(20)) if size >= _SMALL_TILE]
    steps = [(size, TABLE_NUMBERS) for size in large] + [(size, 0) for size in (*large, 1)]
    for tile_numbers, table_numbers in steps:
        plan = parts.plan(tile_numbers, table_numbers)
        if plan.total <= limit:
            return plan
    raise ValueError(_too_little(plan, limit))


def memory_text(amount: int) -> str:
    """Write an amount of memory for a reader.

    Args:
        amount: Bytes.

    Returns:
        KiB below 1 MiB, MiB, or GiB from 10 of them.

    Example:
        >>> memory_text(3 << 10), memory_text(5 << 20), memory_text(20 << 30)
        ('3.0 KiB', '5.0 MiB', '20.0 GiB')
    """
    if amount < 1 << 20:
        return f"{amount / 2**10:.1f} KiB"
    return f"{amount / 2**30:.1f} GiB" if amount >= 10 << 30 else f"{amount / 2**20:.1f} MiB"


@dataclass(frozen=True)
class _Parts:
    num_classes: int
    num_features: int
    num_pairs: int
    ids: tuple[str, ...]
    settings: Settings

    def plan(self, tile_numbers: int, table_numbers: int) -> MemoryPlan:
        items = [
            *self._means(),
            *self._second_pass(table_numbers),
            *self._squares_of_classes(),
            *self._pairs(tile_numbers),
        ]
        notes = []
        if table_numbers < TABLE_NUMBERS and any(item.how == "dropped" for item in items):
            notes.append("NC4 computes its tables anew for each block of pairs: the same values, more slowly")
        if tile_numbers < TILE_NUMBERS:
            notes.append(f"matrices of class pairs are walked over {self._tile_rows(tile_numbers)} rows at a time")
        if self.settings.scope == "within":
            notes.append("frames of the groups are counted as if no class were in two groups")
        return MemoryPlan(tuple(items), tile_numbers, table_numbers, self._passes, tuple(notes))

    @property
    def _passes(self) -> int:
        fits = 0
        if not CROSS_FIT.isdisjoint(self.ids):
            fits = 4 if any(name in self.ids for name in ("nc4_agreement_crossfit", "nc4_ncc_accuracy_crossfit")) else 2
        images = any(name in self.ids for name in ("mlab_topm_agreement", "mlab_binary_agreement"))
        return 1 + (not SECOND_PASS.isdisjoint(self.ids)) + fits + 2 * images

    @property
    def _short(self) -> int:
        # Bytes of a number of the working type, float32 unless the user wants more.
        return 8 if self.settings.precision == "float64" else 4

    def _own(self, chosen: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name in self.ids if name in chosen)

    def _tile_rows(self, tile_numbers: int) -> int:
        return max(1, min(self.num_classes, tile_numbers // max(1, self.num_classes)))

    def _means(self) -> list[MemoryItem]:
        size = self.num_classes * self.num_features
        shape = f"[{self.num_classes:,}, {self.num_features:,}]"
        items = [
            MemoryItem(f"class means, float64 {shape}", 8 * size, "kept"),
            MemoryItem(f"centred class means, float64 {shape}", 8 * size, "kept"),
        ]
        if SECOND_PASS.isdisjoint(self.ids):
            # Shifts and sums of the statistics, offsets, their sum and its masked copy.
            items.append(MemoryItem(f"statistics of one pass, float64, 4 of {shape}", 32 * size + _BLOCKS, "tiled"))
        anchors = tuple(name for name in self.ids if "classifier" in METRICS[name].needs)
        if anchors:
            items.append(MemoryItem(f"classifier rows, float64, 3 of {shape}", 24 * size, "kept", anchors))
        within = self.settings.scope == "within"
        if within:
            items.append(MemoryItem(f"frames of the groups, float64, 2 of {shape}", 16 * size, "kept"))
        units = tuple(name for name in self.ids if name in PAIR_FUNCTIONS and any(part in name for part in _UNIT_ROWS))
        if units:
            items.append(MemoryItem(f"class means of length 1, float64 {shape}", 8 * size, "kept", units))
        halves = self._own(CROSS_FIT)
        if halves:
            items.append(MemoryItem(f"means of two halves, float64, 6 of {shape}", 48 * size, "kept", halves))
        return items

    def _second_pass(self, table_numbers: int) -> list[MemoryItem]:
        if SECOND_PASS.isdisjoint(self.ids):
            return []
        num_classes, width, ids = self.num_classes, self.num_features, self.ids
        size, pairs = num_classes * width, num_classes**2
        items: list[MemoryItem] = []
        if self._short == 4:
            items.append(MemoryItem(f"class means, float32 [{num_classes:,}, {width:,}]", 4 * size, "kept"))
        rank = min(num_classes, width) if "nc1_pinv" in ids else 0
        side = min(num_classes, width)
        nearest = self._own(NEAREST)
        if rank or nearest:
            factor = f"eigenvectors [{side:,}, {side:,}] and directions [{side:,}, {width:,}], float64"
            items.append(
                MemoryItem(factor, 24 * side * side + 16 * side * width, "kept", self._own({"nc1_pinv", *nearest}))
            )
        rules = len(nearest) and 1 + ("nc4_agreement" in nearest)
        if rules:
            items.append(
                MemoryItem(
                    f"scoring columns [{width:,}, {num_classes:,}]", 2 * rules * self._short * size, "kept", nearest
                )
            )
            tables = rules * pairs * (8 + self._short)
            how: How = "kept" if pairs <= table_numbers else "dropped"
            items.append(MemoryItem(f"tables of class scores [{num_classes:,}, {num_classes:,}]", tables, how, nearest))
        scored = num_classes if nearest and self.settings.sample_pairs is None else 0
        rows = min(block_rows(width, max(rank, scored)), max(1, self.num_pairs))
        block = rows * (width * 12 + (rank + 2 * rules * scored) * self._short) + _BLOCKS
        items.append(MemoryItem(f"blocks of {rows:,} pairs and a batch of the stream", block, "tiled"))
        for names, what, amount in (
            (("nc1_dcdnv",), f"spread along class pairs, float64, 2 of [{num_classes:,}, {num_classes:,}]",
             16 * pairs + self._short * size + rows * num_classes * 12),
            (("nc1_vci",), f"within-class covariance, float64, 5 of [{width:,}, {width:,}]", 40 * width**2 + 8 * size),
            (tuple(LABEL_SETS), "label sets: members and means",
             3 * min(MAX_SETS, self.num_pairs) * (num_classes + 8 * width) + 8 * size),
        ):  # fmt: skip
            if self._own(names):
                items.append(MemoryItem(what, amount, "kept", self._own(names)))
        return items

    def _squares_of_classes(self) -> list[MemoryItem]:
        num_classes = self.num_classes
        seli = self._own({"seli_distance", "seli_distance_w"})
        if not seli:
            return []
        what = f"SELI geometry, float64, {_SELI} of [{num_classes:,}, {num_classes:,}]"
        return [MemoryItem(what, 8 * _SELI * num_classes**2, "tiled", seli)]

    def _pairs(self, tile_numbers: int) -> list[MemoryItem]:
        by_tile = tuple(name for name in self.ids if name in PAIR_FUNCTIONS or name in _ETF_ERRORS | NEAREST)
        if not by_tile:
            return []
        rows = self._tile_rows(tile_numbers)
        what = f"class pairs, float64, {_TILES} tiles of [{rows:,}, {self.num_classes:,}]"
        return [MemoryItem(what, 8 * _TILES * rows * self.num_classes, "tiled", by_tile)]


def _too_little(plan: MemoryPlan, limit: int) -> str:
    largest = sorted((item for item in plan.items if item.how != "dropped"), key=lambda item: -item.bytes)[:4]
    lines = [
        f"  {memory_text(item.bytes)}: {item.what}"
        + (f"; goes without {', '.join(item.metrics)}" if item.metrics else "; needed by every metric")
        for item in largest
    ]
    return (
        f"max_memory is {memory_text(limit)}, but {memory_text(plan.total)} are needed even in the smallest tiles. "
        "The largest parts:\n" + "\n".join(lines) + "\nGive more memory, or leave out the metrics named there"
    )
