"""Several processes share one extraction; the file is that of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import spawn
from torch.utils.data import DataLoader, DistributedSampler

from nctools.errors import DatasetError
from nctools.features import FeatureStore
from nctools.features.ranks import Ranks, current_ranks
from tests.features.shard_cases import Images, TwoLayers, digest, parts_of, run

N = 61


def attempt(images: Images, path: Path, **settings: object) -> str:
    """Extract and say how it ended."""
    try:
        run(path, images, **settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{len(images.loaded)} loaded"


def work(rank: int, folder: str, size: int) -> None:
    """One process: goes through all cases, and writes how they ended."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet{size}", rank=rank, world_size=size)
    here = Path(folder)
    try:
        images = Images(N)
        sampler: DistributedSampler[object] = DistributedSampler(images)
        other = TwoLayers()
        other.classifier.bias.data.add_(rank)
        ends = {
            "plain": attempt(images, here / f"plain{size}.h5", shard_size=8),
            "few": attempt(Images(9), here / f"few{size}.h5", shard_size=1024),
            "one batch": attempt(Images(3), here / f"one{size}.h5"),
            "sampler": attempt(
                Images(N), here / f"sampler{size}.h5", loader=DataLoader(images, batch_size=4, sampler=sampler)
            ),
            "iterated": attempt(Images(N), here / f"iterated{size}.h5", loader=list(DataLoader(images, batch_size=4))),
            "other data": attempt(
                images,
                here / f"data{size}.h5",
                loader=list(DataLoader(images, batch_size=4, sampler=sampler)),
                ids=None,
            ),
            "resumed": attempt(Images(N), here / f"begun{size}.h5", resume=True),
            "error": attempt(Images(N, unreadable=10 if rank == 1 else None), here / f"error{size}.h5"),
            "on the first": attempt(Images(N, unreadable=1 if rank == 0 else None), here / f"first{size}.h5"),
            "again": attempt(Images(N), here / f"plain{size}.h5"),
            "other model": attempt(Images(N), here / f"model{size}.h5", model=other),
            "other path": attempt(Images(N), here / f"path{size}-{rank}.h5"),
            "alone": attempt(Images(N), here / f"alone{size}-{rank}.h5", shard_size=None),
            "finished": attempt(Images(N), here / f"plain{size}.h5", resume=True),
        }
        (here / f"ends{size}-{rank}.json").write_text(json.dumps(ends), encoding="utf-8")
    finally:
        torch.distributed.destroy_process_group()


@pytest.fixture(scope="module", params=[2, 3])
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    size = request.param
    folder = tmp_path_factory.mktemp("ranks")
    run(folder / "whole.h5", Images(N))
    run(folder / "whole9.h5", Images(9))
    run(folder / "whole3.h5", Images(3))
    with pytest.raises(DatasetError):
        run(folder / f"begun{size}.h5", Images(N, unreadable=30))
    spawn(work, (str(folder), size), nprocs=size)
    return folder, size


def ends(processes: tuple[Path, int], case: str) -> list[str]:
    folder, size = processes
    return [json.loads((folder / f"ends{size}-{rank}.json").read_text(encoding="utf-8"))[case] for rank in range(size)]


@pytest.mark.parametrize(
    ("case", "file", "whole"),
    [
        ("plain", "plain", "whole"),
        ("few", "few", "whole9"),
        ("one batch", "one", "whole3"),
        ("sampler", "sampler", "whole"),
        ("resumed", "begun", "whole"),
    ],
)
def test_file_of_several_ranks_is_that_of_one(case: str, file: str, whole: str, processes: tuple[Path, int]) -> None:
    folder, size = processes
    assert all(end.endswith("loaded") for end in ends(processes, case))
    assert digest(folder / f"{file}{size}.h5") == digest(folder / f"{whole}.h5")
    assert not parts_of(folder / f"{file}{size}.h5").exists()


def test_each_image_is_loaded_by_one_rank(processes: tuple[Path, int]) -> None:
    counts = [int(end.split()[0]) for end in ends(processes, "plain")]
    assert sum(counts) == N
    assert min(counts) >= N // 4
    # Small data are shared too, and what is complete already is not loaded.
    assert min(int(end.split()[0]) for end in ends(processes, "few")) > 0 or processes[1] == 3
    assert sum(int(end.split()[0]) for end in ends(processes, "resumed")) == N - 24
    assert ends(processes, "finished") == ["0 loaded"] * processes[1]


def test_iterated_data_give_the_same_features(processes: tuple[Path, int]) -> None:
    folder, size = processes
    found, whole = FeatureStore(folder / f"iterated{size}.h5"), FeatureStore(folder / "whole.h5")
    assert found.ids == whole.ids
    for layer in whole.layers:
        assert found.features(layer).equal(whole.features(layer))


def test_error_of_one_rank_ends_all(processes: tuple[Path, int]) -> None:
    folder, size = processes
    for case, rank in (("error", 1), ("on the first", 0)):
        for number, end in enumerate(ends(processes, case)):
            if number == rank:
                assert end.startswith("DatasetError: image 'image/"), end
            else:
                assert end.startswith(f"ProcessError: rank {rank} of {size} failed, so the work ends on all: Data"), end
    assert not (folder / f"error{size}.h5").exists()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("other data", "StoreError: rank 1 extracts something else than rank 0 (contents were"),
        ("other model", "StoreError: rank 1 extracts something else than rank 0 (weights were"),
        ("other path", "StoreError: rank 1 extracts something else than rank 0 (path was"),
    ],
)
def test_ranks_that_do_different_things_are_refused(case: str, message: str, processes: tuple[Path, int]) -> None:
    assert all(end.startswith(message) for end in ends(processes, case)), ends(processes, case)


def test_existing_file_is_refused_on_all_ranks(processes: tuple[Path, int]) -> None:
    assert all("exists already" in end for end in ends(processes, "again"))


def test_one_file_is_written_by_each_rank_alone(processes: tuple[Path, int]) -> None:
    folder, size = processes
    assert ends(processes, "alone") == [f"{N} loaded"] * size
    assert {digest(folder / f"alone{size}-{rank}.h5") for rank in range(size)} == {digest(folder / "whole.h5")}


def test_one_process_needs_no_torch_distributed() -> None:
    ranks = current_ranks()
    assert ranks == Ranks(0, 1)
    assert ranks.gather("x") == ["x"]
    assert ranks.first(lambda: 3) == 3
    empty: dict[str, int] = {}
    with pytest.raises(KeyError, match="seven"):
        ranks.together(lambda: empty["seven"])
