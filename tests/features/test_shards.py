from __future__ import annotations

import errno
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, get_worker_info

from nctools.errors import DatasetError, StoreError
from nctools.features import FeatureStore, extract
from nctools.features import writer as writer_module
from nctools.features.shards import batches_of_shard, batches_per_shard, shards_of_rank
from tests.features.models import Echo
from tests.features.shard_cases import CLASSES, Images, TwoLayers, data, digest, parts_of, run

# --- which shard holds which batches ---


@given(
    num_batches=st.integers(1, 200), longest=st.integers(1, 70), size=st.integers(1, 3000), num_ranks=st.integers(1, 9)
)
def test_each_batch_is_in_one_shard_and_each_shard_has_one_rank(
    num_batches: int, longest: int, size: int, num_ranks: int
) -> None:
    per_shard = batches_per_shard(num_batches, longest, size, num_ranks)
    num_shards = -(-num_batches // per_shard)
    missing = [shard for shard in range(num_shards) if shard % 3 != 1]
    shares = [shards_of_rank(missing, rank, num_ranks) for rank in range(num_ranks)]
    assert sorted(chain.from_iterable(shares)) == missing
    assert all(share == sorted(share) for share in shares)
    batches = [batch for shard in range(num_shards) for batch in batches_of_shard(shard, per_shard, num_batches)]
    assert batches == list(range(num_batches))
    assert per_shard * longest >= size or num_ranks > 1
    # Every rank has work where there is enough of it.
    assert num_ranks == 1 or num_batches < num_ranks or -(-num_batches // num_ranks) >= per_shard


# --- the same file ---


@pytest.mark.parametrize("pairs", ["positive", "all"])
@pytest.mark.parametrize(
    ("num_images", "batch_size", "shard_size"), [(61, 4, 8), (24, 5, 1), (9, 4, 12), (300, 7, 100)]
)
def test_shards_give_the_same_bytes_as_one_file(
    pairs: Literal["positive", "all"], num_images: int, batch_size: int, shard_size: int, tmp_path: Path
) -> None:
    images = Images(num_images)
    one = run(tmp_path / "one.h5", images, pairs=pairs, batch_size=batch_size, shard_size=None)
    images.loaded.clear()
    run(tmp_path / "shards.h5", images, pairs=pairs, batch_size=batch_size, shard_size=shard_size)
    assert images.loaded == list(range(num_images))
    assert digest(tmp_path / "shards.h5") == digest(tmp_path / "one.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.h5", "shards.h5"]
    assert one.kind("classwise") == "classwise"
    assert one.logits is not None
    assert one.ids == images.ids


def test_file_that_is_larger_than_many_chunks_keeps_its_bytes(tmp_path: Path) -> None:
    features, targets = torch.randn(9000, 2, 3), torch.ones(9000, 2)
    batches = list(zip(features.split(97), targets.split(97), strict=True))
    sizes: list[int | None] = [None, 1000]
    for size in sizes:
        layers = {"x": "features"}
        store = extract(
            Echo(), batches, tmp_path / f"{size}.h5", layers=layers, pairs="all", progress=False, shard_size=size
        )
        assert store.features("x").equal(features)
    assert digest(tmp_path / "None.h5") == digest(tmp_path / "1000.h5")


def test_class_indices_without_names_or_ids_go_through_shards(tmp_path: Path) -> None:
    targets = torch.arange(23) % CLASSES
    model = nn.Sequential(nn.Linear(4, CLASSES))
    batches = list(zip(torch.randn(23, 4).split(3), targets.split(3), strict=True))
    for name, size in (("one", None), ("shards", 4)):
        store = extract(model, batches, tmp_path / f"{name}.h5", progress=False, shard_size=size)
        assert store.single_label
        assert store.ids == [str(row) for row in range(23)]
        assert store.classifier is not None
    assert digest(tmp_path / "one.h5") == digest(tmp_path / "shards.h5")


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_out_of_an_iterator_and_out_of_workers_are_the_same(num_workers: int, tmp_path: Path) -> None:
    class OwnLoader(DataLoader[tuple[Tensor, Tensor]]):
        """Not taken apart, because a subclass may give anything."""

    images = Images(30)
    run(tmp_path / "plain.h5", images, num_workers=num_workers)
    own = run(tmp_path / "own.h5", images, loader=OwnLoader(images, batch_size=4, num_workers=num_workers))
    plain = FeatureStore(tmp_path / "plain.h5")
    assert plain.ids == own.ids
    assert plain.features("classwise").equal(own.features("classwise"))


def test_loader_with_persistent_workers_can_be_used_again(tmp_path: Path) -> None:
    class OwnLoader(DataLoader[tuple[Tensor, Tensor]]):
        """Not taken apart."""

    images = Images(10)
    for kind in (OwnLoader, DataLoader):
        loader = kind(images, batch_size=4, num_workers=1, persistent_workers=True)
        for turn in range(2):
            run(tmp_path / f"{kind.__name__}{turn}.h5", images, loader=loader)
        assert len(list(loader)) == 3
    assert len({digest(path) for path in tmp_path.iterdir()}) == 2


def test_image_that_can_be_loaded_the_second_time_is_named_by_its_batch(tmp_path: Path) -> None:
    class Once(Images):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            if index == 6 and get_worker_info() is not None:
                raise OSError("the network is down")
            return super().__getitem__(index)

    message = r"batch 1 \(images 'image/4.jpg' to 'image/7.jpg'\) cannot be loaded \(OSError: the network is down\)"
    with pytest.raises(DatasetError, match=message):
        run(tmp_path / "x.h5", Once(10), num_workers=1)


def test_a_random_order_is_kept_as_it_was_drawn(tmp_path: Path) -> None:
    images = Images(30)
    loader = DataLoader(images, batch_size=4, shuffle=True)
    store = run(tmp_path / "x.h5", images, loader=loader, ids=None)
    assert sorted(images.loaded) == list(range(30))
    assert images.loaded != list(range(30))
    assert store.targets.equal(images.targets[images.loaded].to(torch.uint8))


def test_distributed_sampler_is_replaced_by_the_order_of_the_data_set(tmp_path: Path) -> None:
    images = Images(30)
    sampler: DistributedSampler[object] = DistributedSampler(images, num_replicas=4, rank=1)
    run(tmp_path / "x.h5", images, loader=DataLoader(images, batch_size=4, sampler=sampler))
    run(tmp_path / "y.h5", images)
    assert digest(tmp_path / "x.h5") == digest(tmp_path / "y.h5")


def test_sampler_that_doubles_an_image_is_refused(tmp_path: Path) -> None:
    images = Images(8)
    sampler = RandomSampler(images, replacement=True, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"gives image \d of the data set more than once"):
        run(tmp_path / "x.h5", images, loader=DataLoader(images, sampler=sampler), ids=None)
    listed = DataLoader(images, batch_sampler=[[0, 1], [2, 3, 4, 5, 6, 9]])
    with pytest.raises(ValueError, match="asks for image 9 of a data set of 8 images"):
        run(tmp_path / "x.h5", images, loader=listed)
    fewer = DataLoader(images, batch_sampler=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="gave 4 images but the data set has 8"):
        run(tmp_path / "x.h5", images, loader=fewer)
    dropping = DataLoader(images, batch_size=4, collate_fn=lambda rows: (torch.zeros(3, 4), torch.zeros(3, CLASSES)))
    with pytest.raises(
        ValueError, match=r"gave 3 images for batch 0 \(images 'image/0.jpg' to 'image/3.jpg'\), which has 4"
    ):
        run(tmp_path / "x.h5", images, loader=dropping)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_images_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "x.h5", Images(30), progress=True)
    assert capsys.readouterr().err.endswith("extracting: 100 % (30 of 30 images)\n")


# --- precision and memory format ---


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float16", torch.float16)])
def test_half_precision_runs_the_forward_pass_in_it(precision: str, dtype: torch.dtype, tmp_path: Path) -> None:
    images, model = Images(10), TwoLayers()
    store = run(tmp_path / "half.h5", images, autocast=precision, model=model)
    full = run(tmp_path / "full.h5", images, model=model)
    found, exact = store.features("classwise"), full.features("classwise")
    assert not found.equal(exact)
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)
    assert found.to(dtype).float().equal(found)
    assert FeatureStore(tmp_path / "half.h5").features("images").equal(full.features("images"))


def test_channels_last_reaches_the_model_and_is_undone(tmp_path: Path) -> None:
    seen = []

    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            seen.append([x.is_contiguous(memory_format=torch.channels_last) for x in (images, self.conv.weight)])
            logits: Tensor = self.fc(self.conv(images).mean(dim=(2, 3)))
            return logits

    model = Convolution()
    batches = [(torch.randn(5, 3, 8, 8), torch.ones(5, 2))]
    layers = {"penultimate": "fc:input"}
    last = extract(model, batches, tmp_path / "last.h5", layers=layers, channels_last=True, progress=False)
    assert seen == [[True, True]]
    assert model.conv.weight.is_contiguous()
    first = extract(model, batches, tmp_path / "first.h5", layers=layers, progress=False)
    assert seen[1] == [False, False]
    torch.testing.assert_close(last.features("penultimate"), first.features("penultimate"))


# --- errors keep what is complete ---


@pytest.mark.parametrize("num_workers", [0, 2])
def test_image_that_cannot_be_loaded_is_named_and_complete_shards_are_kept(num_workers: int, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    message = r"image 'image/21.jpg' \(in batch 5\) cannot be loaded \(OSError: cannot identify image file\)"
    with pytest.raises(DatasetError, match=message) as caught:
        run(path, Images(30, unreadable=21), num_workers=num_workers)
    assert isinstance(caught.value.__cause__, OSError)
    assert "Complete shards kept in" in caught.value.__notes__[0]
    assert sorted(path.name for path in parts_of(path).glob("*.h5")) == ["shard-00000.h5", "shard-00001.h5"]
    with pytest.raises(DatasetError, match=r"^image 21 \(in batch 5\)"):
        run(path, Images(30, unreadable=21), ids=None, overwrite=True)
    with pytest.raises(DatasetError, match=r"cannot be loaded .* nctools data validate PATH lists all such images"):
        run(tmp_path / "one.h5", Images(30, unreadable=21), shard_size=None)
    assert not (tmp_path / "one.h5").exists()


def test_collation_that_fails_names_the_batch(tmp_path: Path) -> None:
    def collate(rows: object) -> object:
        raise ValueError("sizes differ")

    images = Images(6)
    loader = DataLoader(images, batch_size=4, collate_fn=collate)
    message = r"batch 0 \(images 'image/0.jpg' to 'image/3.jpg'\) cannot be loaded \(ValueError: sizes differ\)"
    with pytest.raises(DatasetError, match=message):
        run(tmp_path / "x.h5", images, loader=loader)
    assert list(tmp_path.iterdir()) == []


# torch raises in a signal handler, which may meet a destructor; the loss then shows a moment later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_worker_that_is_killed_is_named_with_its_batch(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    message = r"a worker of the dataloader died while batch \d \(images 'image/\d+.jpg' to .* use fewer workers"
    with pytest.raises(DatasetError, match=message):
        run(path, Images(30, deadly=21), num_workers=1)
    run(path, Images(30), num_workers=1, resume=parts_of(path).exists())


def test_feature_that_is_not_finite_keeps_complete_shards(tmp_path: Path) -> None:
    images = Images(30)
    images._images[17] = float("nan")
    with pytest.raises(ValueError, match=r"layer 'classwise' of image 'image/17.jpg' has the feature nan"):
        run(tmp_path / "x.h5", images)
    assert len(list(parts_of(tmp_path / "x.h5").glob("shard-*.h5"))) == 2


def test_interrupt_keeps_complete_shards_and_puts_the_model_back(tmp_path: Path) -> None:
    class Interrupted(Images):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            if index == 20:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    path, model = tmp_path / "x.h5", TwoLayers().train()
    with pytest.raises(KeyboardInterrupt):
        run(path, Interrupted(30), model=model)
    assert model.training
    assert not model.split._forward_hooks
    assert sorted(file.name for file in parts_of(path).iterdir()) == [
        *("lock", "manifest.json", "shard-00000.h5", "shard-00001.h5")
    ]


def test_full_disk_says_how_much_is_free_and_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, images, writes = tmp_path / "x.h5", Images(30), []
    whole = writer_module._GrowingDataset._write

    def full(self: writer_module._GrowingDataset, rows: int) -> None:
        writes.append(rows)
        if len(writes) > 20:
            raise OSError("Can't synchronously write data (file write failed: errno = 28, error message = 'No space')")
        whole(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(writer_module._GrowingDataset, "_write", full)
        message = r"x.h5 could not be written \(No space left on device\): [\d,]+ MiB are free on the file system /"
        with pytest.raises(StoreError, match=message) as caught:
            run(path, images)
    kept = len(list(parts_of(path).glob("shard-*.h5")))
    assert 0 < kept < 4
    assert f"{kept} complete shards are kept in {parts_of(path)}; make room" in str(caught.value)
    assert not list(parts_of(path).glob("unfinished-*"))
    run(path, images, resume=True)
    run(tmp_path / "y.h5", images)
    assert digest(path) == digest(tmp_path / "y.h5")


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.features.shard_cases import Images, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    run(Path(sys.argv[1]), Images(600), batch_size=20, shard_size=200, pairs="all")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("limit", "kept"), [(10_000, 0), (60_000, 0), (260_000, 3)])
def test_real_limit_of_the_system_is_reported_by_a_process_that_ends_in_order(
    limit: int, kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    command = [sys.executable, "-W", "error", "-c", LIMITED, str(path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.startswith(f"StoreError {path} could not be written ({os.strerror(errno.EFBIG)})"), done
    assert (f"{kept} complete shards are kept" in done.stdout) == (kept > 0), done
    assert done.stderr == ""
    assert not path.exists()
    run(path, Images(600), batch_size=20, shard_size=200, pairs="all", resume=True)
    assert len(FeatureStore(path)) == 600


def test_wrong_shard_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shard_size is 0: pass at least 1 image"):
        run(tmp_path / "x.h5", Images(6), shard_size=0)
    with pytest.raises(ValueError, match="resume=True needs shards"):
        run(tmp_path / "x.h5", Images(6), shard_size=None, resume=True)
    with pytest.raises(ValueError, match="autocast is 'int8'; it is one of: bfloat16, float16"):
        run(tmp_path / "x.h5", Images(6), autocast="int8")


def test_torch_goes_on_with_the_numbers_it_would_have_had(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        run(tmp_path / "x.h5", Images(20), loader=DataLoader(Images(20), batch_size=4, shuffle=True), ids=None)
    assert np.array_equal(torch.get_rng_state().numpy(), before.numpy())
    assert data(Images(2)).batch_size == 4
