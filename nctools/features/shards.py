"""Which batches make a shard, which shard a rank makes, and whether the file of a shard is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from nctools.errors import StoreError
from nctools.features.feature_file import FeatureFile, read_description
from nctools.features.store import FeatureStore


def batches_per_shard(num_batches: int | None, longest: int, shard_size: int, num_ranks: int) -> int:
    """Choose how many batches make a shard.

    Args:
        num_batches: Of the whole data set, or None if it is not known.
        longest: Images in the longest batch.
        shard_size: Images in a shard, rounded up to whole batches.
        num_ranks: Processes that share the work; each is to have some.

    Returns:
        At least 1.

    Example:
        >>> batches_per_shard(100, 64, 1000, 1), batches_per_shard(8, 64, 1000, 3)
        (16, 3)
    """
    wanted = -(-shard_size // longest)
    if num_batches is not None and num_ranks > 1:
        wanted = min(wanted, -(-num_batches // num_ranks))
    return max(1, wanted)


def batches_of_shard(shard: int, per_shard: int, num_batches: int) -> range:
    """Give the batches of one shard.

    Args:
        shard: Its number.
        per_shard: Batches in a shard; the last may have fewer.
        num_batches: Of the whole data set.

    Returns:
        Numbers of batches.

    Example:
        >>> batches_of_shard(1, 3, 5)
        range(3, 5)
    """
    return range(shard * per_shard, min((shard + 1) * per_shard, num_batches))


def shards_of_rank(missing: Sequence[int], rank: int, num_ranks: int) -> list[int]:
    """Share the shards that are still to be made.

    Args:
        missing: Their numbers.
        rank: Which process.
        num_ranks: Of how many.

    Returns:
        The shards of this process.

    Example:
        >>> shards_of_rank([0, 2, 3, 5], 1, 2)
        [2, 5]
    """
    return list(missing[rank::num_ranks])


def complete_shard(path: Path, facts: Mapping[str, object]) -> dict[str, object] | None:
    """Open a shard and hold it against the manifest.

    Args:
        path: The file.
        facts: What it must have been made from.

    Returns:
        Its description; None if it is missing, damaged or was made from something else.
    """
    try:
        with FeatureStore(path) as store:
            if len(store.ids) != len(store.targets):
                return None
        file = FeatureFile(path)
        try:
            document = file.read(read_description)
        finally:
            file.close()
    except (StoreError, UnicodeError):
        return None
    return document if facts_of(document) == facts and "batches" in document else None


def facts_of(document: Mapping[str, object]) -> object:
    """Read what a file was made from.

    Args:
        document: Description of a feature file.

    Returns:
        The facts of its manifest; None in files of older versions.
    """
    manifest = document.get("manifest")
    return manifest.get("facts") if isinstance(manifest, dict) else None


def finished_facts(path: Path) -> object:
    """Read what a finished feature file was made from.

    Args:
        path: The file.

    Returns:
        The facts of its manifest; None in files of older versions.
    """
    file = FeatureFile(path)
    try:
        return facts_of(file.read(read_description))
    finally:
        file.close()


def run_lengths(lengths: Sequence[int]) -> list[list[int]]:
    """Write down the lengths of batches shortly.

    Args:
        lengths: Images in each batch.

    Returns:
        Pairs of length and how often it comes.

    Example:
        >>> run_lengths([4, 4, 4, 2])
        [[4, 3], [2, 1]]
    """
    runs: list[list[int]] = []
    for length in lengths:
        if runs and runs[-1][0] == length:
            runs[-1][1] += 1
        else:
            runs.append([length, 1])
    return runs


def batch_lengths(document: Mapping[str, object]) -> list[int]:
    """Read the lengths of the batches that a file was written in.

    Args:
        document: Its description.

    Returns:
        Images in each batch.
    """
    return [length for length, count in cast("list[list[int]]", document["batches"]) for _ in range(count)]
