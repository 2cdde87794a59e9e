"""The steps of an extraction in shards: begin or resume, make what is missing, put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, count, groupby
from pathlib import Path
from typing import cast

import torch

from nctools.errors import StoreError
from nctools.features.compression import Compression
from nctools.features.feature_pass import Advance, FeaturePass
from nctools.features.loading import LoadedBatch
from nctools.features.manifest import differences, made_with, read_manifest, write_manifest
from nctools.features.merging import merge
from nctools.features.parts_folder import PartsFolder, move_durably
from nctools.features.ranks import Ranks
from nctools.features.shards import (
    batch_lengths,
    batches_of_shard,
    batches_per_shard,
    complete_shard,
    finished_facts,
    shards_of_rank,
)
from nctools.features.store import FeatureStore


@dataclass(frozen=True)
class _Plan:
    """How many batches make a shard, and the batch lengths of the shards that are complete."""

    per_shard: int
    complete: dict[int, list[int]]


def extract_in_shards(
    work: FeaturePass,
    target: Path,
    ranks: Ranks,
    *,
    shard_size: int,
    resume: bool,
    overwrite: bool,
    progress: bool,
) -> None:
    """Write a feature file by way of shards, together with the other ranks.

    Args:
        work: Model and data.
        target: The file to make.
        ranks: Who takes part.
        shard_size: Images in a shard.
        resume: Go on with shards that are there.
        overwrite: Replace the file, and shards that are there.
        progress: Show progress.
    """
    parts = PartsFolder(target)
    _check_same_call(ranks.gather((str(target.absolute()), work.facts)))
    with ExitStack() as lock:  # held by rank 0
        plan = ranks.first(
            lambda: _begin(work, parts, lock, shard_size, ranks.size, resume=resume, overwrite=overwrite)
        )
        if plan is not None:
            num_shards = ranks.together(lambda: _make_shards(work, parts, plan, ranks, progress))
            _check_same_data(ranks.gather(work.order.seen))
            ranks.first(lambda: _finish(parts, num_shards, work.compression))


def check_target(path: Path, *, replaceable: bool) -> None:
    """Refuse a target that is a folder, or a file that may not be replaced.

    Args:
        path: The target.
        replaceable: It may.

    Raises:
        StoreError: If it cannot be written.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file in it, such as {path / 'train.h5'}")
    if path.exists() and not replaceable:
        raise StoreError(f"{path} exists already: pass overwrite=True (--force) to replace it, or name another file")


def _begin(
    work: FeaturePass,
    parts: PartsFolder,
    lock: ExitStack,
    shard_size: int,
    num_ranks: int,
    *,
    resume: bool,
    overwrite: bool,
) -> _Plan | None:
    # None: the finished file is what was asked for.
    if resume and parts.target.exists() and read_manifest(parts.path) is None:
        found = differences(finished_facts(parts.target) or {}, work.facts)
        if not found:
            parts.remove_remains()
            return None
        if not overwrite:
            raise StoreError(_other_settings(f"{parts.target} is complete but made from something else", found))
    lock.enter_context(parts.locked())
    manifest = read_manifest(parts.path) if resume or not overwrite else None
    if manifest is not None and resume:
        found = differences(manifest["facts"], work.facts)
        if found:
            raise StoreError(_other_settings(f"cannot resume {parts.path}", found))
        parts.tidy()
        per_shard = cast("int", manifest["batches_per_shard"])
        return _Plan(per_shard, _complete(work, parts, per_shard))
    if manifest is not None and parts.shards():
        of_all = f" of {manifest['num_shards']}" if manifest.get("num_shards") else ""
        raise StoreError(
            f"{parts.path} holds {len(parts.shards())}{of_all} shards of an extraction that was not finished: "
            "pass resume=True (--resume) to go on with it, or overwrite=True (--force) to start again"
        )
    check_target(parts.target, replaceable=resume or overwrite)
    parts.clear()
    num_batches = None if work.order.lengths is None else len(work.order.lengths)
    per_shard = batches_per_shard(num_batches, work.order.longest(), shard_size, num_ranks)
    num_shards = None if num_batches is None else -(-num_batches // per_shard)
    layout = {"batches_per_shard": per_shard, "num_shards": num_shards}
    with parts.naming_full_disk():
        write_manifest(parts.path, {"facts": work.facts, **layout, "made_with": made_with(work.device)})
    return _Plan(per_shard, {})


def _complete(work: FeaturePass, parts: PartsFolder, per_shard: int) -> dict[int, list[int]]:
    complete = {}
    for shard in parts.shards():
        document = complete_shard(parts.shard(shard), work.facts)
        lengths = [] if document is None else batch_lengths(document)
        if work.order.lengths is None:
            fits = 0 < len(lengths) <= per_shard
        else:
            planned = batches_of_shard(shard, per_shard, len(work.order.lengths))
            fits = lengths == [work.order.lengths[number] for number in planned] != []
        if fits:
            complete[shard] = lengths
        else:
            parts.shard(shard).unlink()
    return complete


def _make_shards(work: FeaturePass, parts: PartsFolder, plan: _Plan, ranks: Ranks, progress: bool) -> int:
    order, total, done = work.order, work.order.expected, 0
    numbers: list[int] | None = None
    if order.lengths is not None:
        num_shards = -(-len(order.lengths) // plan.per_shard)
        mine = shards_of_rank([k for k in range(num_shards) if k not in plan.complete], ranks.rank, ranks.size)
        numbers = list(chain(*(batches_of_shard(k, plan.per_shard, len(order.lengths)) for k in mine)))
        done = sum(map(sum, plan.complete.values()))
        total = done + sum(order.lengths[number] for number in numbers)
        if not numbers:
            return num_shards
    shard, turn = -1, count()
    with work.running(parts, total, progress and ranks.rank == 0) as advance:
        advance(done)
        for shard, batches in groupby(order.load(numbers), key=lambda batch: batch.number // plan.per_shard):
            missing = shard not in plan.complete
            if numbers is not None or (missing and next(turn) % ranks.size == ranks.rank):
                with parts.writing(shard) as temporary:
                    work.write(temporary, batches, advance)
            elif missing:
                advance(sum(len(batch.targets) for batch in batches))
            else:
                _skip(batches, parts.shard(shard), plan.complete[shard], advance)
    if numbers is not None:
        return num_shards
    if shard < max(plan.complete, default=0):
        raise StoreError(_ended(parts.shard(max(plan.complete))))
    return shard + 1


def _skip(batches: Iterable[LoadedBatch], shard: Path, lengths: list[int], advance: Advance) -> None:
    # Batches that come out of an iterator cannot be told by their indices; their labels show another order.
    with FeatureStore(shard) as store:
        stored = list(store.targets.split(lengths))
    for batch in batches:
        rows, targets = stored.pop(0) if stored else None, batch.targets.cpu()
        if rows is not None and targets.ndim == 1:
            same = len(rows) == len(targets) and bool((rows.sum(1) == 1).all()) and rows.argmax(1).equal(targets.long())
        else:
            same = rows is not None and rows.equal(targets.to(torch.uint8))
        if not same:
            raise StoreError(
                f"batch {batch.number} has other labels or another length than {shard} holds: the data come in another "
                "order than before; pass a dataloader that repeats its order (shuffle=False), or overwrite=True "
                "(--force) to start again"
            )
        advance(len(targets))
    if stored:
        raise StoreError(_ended(shard))


def _ended(shard: Path) -> str:
    return f"the dataloader ends before the end of {shard}: pass the same data, or overwrite=True (--force)"


def _finish(parts: PartsFolder, num_shards: int, compression: Compression | None) -> None:
    shards = [parts.shard(number) for number in range(num_shards)]
    with parts.naming_full_disk():
        if len(shards) > 1:
            merge(shards, parts.merged, compression)
        move_durably(shards[0] if len(shards) == 1 else parts.merged, parts.target)
    parts.remove()


def _check_same_call(calls: Sequence[tuple[str, dict[str, object]]]) -> None:
    for rank, (path, facts) in enumerate(calls[1:], 1):
        found = differences({"path": calls[0][0], **calls[0][1]}, {"path": path, **facts})
        if found:
            raise StoreError(
                f"rank {rank} extracts something else than rank 0 ({'; '.join(found)}): make the same call on all "
                "ranks, or pass shard_size=None where each extracts for itself"
            )


def _check_same_data(seen: Sequence[str]) -> None:
    if len(set(seen)) > 1:
        raise StoreError(
            "the dataloaders of the ranks gave different data: pass each rank the whole data set in the same order, "
            "or a plain torch DataLoader over a map-style data set"
        )


def _other_settings(problem: str, found: Sequence[str]) -> str:
    return (
        f"{problem}: {'; '.join(found)}: extract with the same settings, or pass overwrite=True (--force) without "
        "resume to start again"
    )
