from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nctools.errors import DatasetError, StoreError
from nctools.features import FeatureStore
from nctools.features import sharded as steps
from nctools.features.merging import merge
from nctools.features.parts_folder import PartsFolder
from nctools.models.output import Anchors
from tests.features.shard_cases import CLASSES, WIDTH, Images, TwoLayers, data, digest, parts_of, run

N = 30  # in batches of 4 and shards of 8: four shards, the last with 6 images


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """An extraction that ended in its third shard."""
    path = tmp_path / "x.h5"
    with pytest.raises(DatasetError):
        run(path, Images(N, unreadable=21))
    return path


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """Digest of the file that comes out without an interruption."""
    path = tmp_path / "whole.h5"
    run(path, Images(N), shard_size=None)
    return digest(path)


@pytest.mark.parametrize(("times", "seed"), [(10, 1), pytest.param(100, 2, marks=pytest.mark.slow)])
def test_killed_extraction_leaves_nothing_broken_and_resumes_to_the_same_bytes(
    times: int, seed: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.features.killed_extraction", str(tmp_path), str(times), str(seed)]
    # Files, not pipes: a worker of torch whose parent is killed while it starts never notices and holds pipes open.
    printed, said = tmp_path / "printed.txt", tmp_path / "said.txt"
    with printed.open("w") as out, said.open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        try:
            assert process.wait(timeout=280) == 0, said.read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    states = json.loads(printed.read_text())
    assert sum(states.values()) == 2 * times
    # On a busy machine many come through before they are killed, but not all.
    assert sum(number for state, number in states.items() if state != "finished") > times / 5, states


def test_resuming_loads_only_what_is_missing(begun: Path, whole: str) -> None:
    images = Images(N)
    with run(begun, images, resume=True) as store:
        assert len(store) == N
    assert images.loaded == list(range(16, N))
    assert digest(begun) == whole
    assert not parts_of(begun).exists()


def test_shard_size_of_the_first_call_counts(begun: Path, whole: str) -> None:
    images = Images(N)
    run(begun, images, resume=True, shard_size=100)
    assert images.loaded == list(range(16, N))
    assert digest(begun) == whole


def test_resuming_counts_what_is_there_as_done(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(begun, Images(N), resume=True, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "extracting: 53 % (16 of 30 images)"
    assert lines[-1] == "extracting: 100 % (30 of 30 images)"


def test_without_resume_it_asks_and_overwrite_starts_again(begun: Path, whole: str) -> None:
    message = r"x.h5.parts holds 2 of 4 shards .* pass resume=True \(--resume\) .* overwrite=True \(--force\)"
    with pytest.raises(StoreError, match=message):
        run(begun, Images(N))
    images = Images(N)
    run(begun, images, overwrite=True)
    assert len(images.loaded) == N
    assert digest(begun) == whole


def damaged(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "zeros": bytes(len(content))}[kind])


@pytest.mark.parametrize("kind", ["gone", "cut", "empty", "zeros"])
def test_shard_that_is_damaged_is_made_again(kind: str, begun: Path, whole: str) -> None:
    damaged(parts_of(begun) / "shard-00000.h5", kind)
    images = Images(N)
    run(begun, images, resume=True)
    assert images.loaded == [*range(8), *range(16, N)]
    assert digest(begun) == whole


def test_shard_of_another_extraction_is_made_again(begun: Path, whole: str) -> None:
    other = begun.with_name("y.h5")
    with pytest.raises(DatasetError):
        run(other, Images(N, unreadable=21), model=other_model())
    (parts_of(other) / "shard-00001.h5").replace(parts_of(begun) / "shard-00001.h5")
    run(begun, Images(N), resume=True)
    assert digest(begun) == whole


def test_what_is_no_shard_stays(begun: Path) -> None:
    note = parts_of(begun) / "note.txt"
    note.write_text("mine")
    run(begun, Images(N), resume=True)
    assert [file.name for file in parts_of(begun).iterdir()] == ["note.txt"]


# --- another model, other data, other settings ---


def other_model() -> TwoLayers:
    model = TwoLayers()
    model.classifier.bias.data.add_(1)
    return model


def changed(**attributes: object) -> Images:
    images = Images(N)
    for name, value in attributes.items():
        setattr(images, name, value)
    return images


def more() -> Images:
    return Images(N + 1)


def shuffled() -> DataLoader[tuple[Tensor, Tensor]]:
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0)).tolist()
    return DataLoader(Images(N), batch_sampler=[order[start : start + 4] for start in range(0, N, 4)])


DIFFERENCES: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "weights": (lambda: {"model": other_model()}, r"weights were \w{6}\.\.\. and are \w{6}\.\.\.: extract with"),
    "dtype": (lambda: {"dtype": "float16"}, "dtype was float32 and is float16"),
    "pairs": (lambda: {"pairs": "all"}, "pairs were positive and are all"),
    "maps": (lambda: {"maps": "flatten"}, "maps were mean and are flatten"),
    "autocast": (lambda: {"autocast": "bfloat16"}, "autocast was null and is bfloat16"),
    "channels": (lambda: {"channels_last": True}, "channels_last was false and is true"),
    "layers": (
        lambda: {"layers": {"classwise": "split", "images": "trunk:output"}},
        r"layers.images was trunk:input and is trunk:output; layers.map was map:output and is missing",
    ),
    "layer order": (
        lambda: {"layers": {"map": "map", "classwise": "split", "images": "trunk:input"}},
        "layer_order was",
    ),
    "batch size": (lambda: {"batch_size": 5}, "batch_size was 4 and is 5"),
    "order": (lambda: {"loader": shuffled()}, r"order was .* \(a random order cannot be resumed: shuffle=False\)"),
    "ids": (lambda: {"ids": [f"{row}" for row in range(N)]}, r"ids were \w{6}\.\.\. and are \w{6}\.\.\.:"),
    "no ids": (lambda: {"ids": None}, r"ids were \w{6}\.\.\. and are null"),
    "classes": (lambda: {"class_names": ["a", "b", "c"]}, r"classes were null and are 3 \w{6}\.\.\."),
    "groups": (lambda: {"groups": {"head": [0]}}, r"groups were null and are \w{6}\.\.\."),
    "anchors": (
        lambda: {"anchors": {"classwise": Anchors(torch.ones(CLASSES, WIDTH))}},
        r"anchors were null and are \w{6}\.\.\.",
    ),
    "fingerprints": (lambda: {"fingerprints": {"data": "abc"}}, "fingerprints.data was missing and is abc"),
    "images": (lambda: {"images": more()}, "images were 30 and are 31"),
    "samples": (lambda: {"images": changed(samples=[("a.jpg", 1)])}, r"dataset.samples was missing and is \w{6}"),
    "targets": (lambda: {"images": changed(targets=torch.ones(N, CLASSES))}, r"dataset.targets was \w{6}\.\.\. and"),
    "transform": (lambda: {"images": changed(transform="crop")}, "transform was 'resize 256' and is 'crop'"),
    "fingerprint": (
        lambda: {"images": changed(fingerprint=lambda: "v2")},
        "dataset.fingerprint was missing and is v2",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_difference_is_refused_by_its_name(name: str, begun: Path) -> None:
    make, message = DIFFERENCES[name]
    settings = make()
    images = cast("Images", settings.pop("images", Images(N)))
    before = sorted(path.name for path in parts_of(begun).iterdir())
    with pytest.raises(StoreError, match=rf"cannot resume .*x.h5.parts: .*{message}"):
        run(begun, images, resume=True, **settings)
    assert sorted(path.name for path in parts_of(begun).iterdir()) == before
    assert images.loaded == []


def test_several_differences_are_all_named(begun: Path) -> None:
    with pytest.raises(StoreError, match=r"dtype was .*; .*weights were .*: extract with the same settings, or pass"):
        run(begun, Images(N), resume=True, dtype="float16", model=other_model())


def test_manifest_that_cannot_be_read_is_named(begun: Path, whole: str) -> None:
    manifest = parts_of(begun) / "manifest.json"
    for content in ("{", "{}", "[]"):
        manifest.write_text(content)
        with pytest.raises(StoreError, match=r"manifest\.json"):
            run(begun, Images(N), resume=True)
    run(begun, Images(N), overwrite=True)
    assert digest(begun) == whole


# --- finished files, and moments between the steps ---


def test_finished_file_is_returned_if_it_was_made_from_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    images = Images(N)
    run(path, images, resume=True)
    before = digest(path)
    images.loaded.clear()
    assert len(run(path, images, resume=True)) == N
    assert images.loaded == []
    message = r"x.h5 is complete but made from something else: dtype was float32 and is float16: extract with"
    with pytest.raises(StoreError, match=message):
        run(path, images, resume=True, dtype="float16")
    assert digest(path) == before
    assert list(tmp_path.iterdir()) == [path]
    run(path, images, resume=True, dtype="float16", overwrite=True)
    assert FeatureStore(path).attrs["dtype"] == "float16"


@pytest.mark.parametrize("shard_size", [8, 100])
@pytest.mark.parametrize("moment", ["merge", "move", "remove"])
def test_interruption_at_the_end_is_resumed(
    moment: str, shard_size: int, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, images = tmp_path / "x.h5", Images(N)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "remove":
            patch.setattr(PartsFolder, "remove", stop)
        else:
            patch.setattr(steps, "merge" if moment == "merge" and shard_size == 8 else "move_durably", stop)
        with pytest.raises(KeyboardInterrupt):
            run(path, images, shard_size=shard_size)
    assert path.exists() == (moment == "remove")
    assert (parts_of(path) / "manifest.json").exists()
    images.loaded.clear()
    run(path, images, resume=True)
    assert images.loaded == [] or (moment, shard_size) == ("remove", 100)
    assert digest(path) == whole
    assert not parts_of(path).exists()


def test_one_shard_is_moved_and_not_copied(tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(steps, "merge")
    run(tmp_path / "x.h5", Images(N), shard_size=100)
    assert digest(tmp_path / "x.h5") == whole


def test_old_file_stays_until_the_new_one_is_moved(tmp_path: Path, whole: str) -> None:
    path = tmp_path / "x.h5"
    run(path, Images(5))
    before = digest(path)
    with pytest.raises(DatasetError):
        run(path, Images(N, unreadable=21), overwrite=True)
    assert digest(path) == before
    with pytest.raises(StoreError, match="holds 2 of 4 shards"):
        run(path, Images(N))
    run(path, Images(N), resume=True)
    assert digest(path) == whole


def test_file_that_exists_is_not_replaced_because_a_folder_without_shards_is_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with pytest.raises(DatasetError):
        run(path, Images(N, unreadable=21))
    for shard in parts_of(path).glob("shard-*"):
        shard.unlink()
    path.write_bytes(b"mine")
    with pytest.raises(StoreError, match="exists already"):
        run(path, Images(N))
    assert path.read_bytes() == b"mine"


def test_remains_beside_a_finished_file_are_removed(tmp_path: Path, whole: str) -> None:
    path = tmp_path / "x.h5"
    run(path, Images(N))
    parts_of(path).mkdir()
    for name in ("shard-00003.h5", "lock", "unfinished-00001.h5", "merged.h5"):
        (parts_of(path) / name).write_bytes(b"rest")
    images = Images(N)
    run(path, images, resume=True)
    assert images.loaded == []
    assert not parts_of(path).exists()
    assert digest(path) == whole


def test_shards_that_do_not_belong_together_are_not_merged(tmp_path: Path) -> None:
    run(tmp_path / "a.h5", Images(N))
    run(tmp_path / "b.h5", Images(N), layers={"images": "trunk:input"})
    with pytest.raises(StoreError, match=r"b\.h5 has layers .* but .*a\.h5 has"):
        merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "c.h5")


# --- two at once ---


@pytest.mark.usefixtures("whole")
def test_second_extraction_is_refused_while_the_first_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"

    class Meets(Images):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            if index == 20:
                for choice in ("resume", "overwrite"):
                    with pytest.raises(StoreError, match=r"another process is extracting to .*x\.h5 .*wait for it"):
                        run(path, Images(N), **{choice: True})
            return super().__getitem__(index)

    with run(path, Images(N), loader=DataLoader(Meets(N), batch_size=4)) as store:
        assert store.ids == Images(N).ids
        assert store.features("classwise").equal(FeatureStore(tmp_path / "whole.h5").features("classwise"))
    assert not parts_of(path).exists()


# --- what can only be gone through ---


def iterated(
    images: Images, stop: int | None = None, *, order: list[int] | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(images), 4):
        if start == stop:
            raise RuntimeError("the power went off")
        rows = (order or list(range(len(images))))[start : start + 4]
        pairs = [images[row] for row in rows]
        yield torch.stack([image for image, _ in pairs]), torch.stack([target for _, target in pairs])


def test_iterator_is_resumed_without_a_forward_pass_over_complete_shards(tmp_path: Path) -> None:
    path, images, model = tmp_path / "x.h5", Images(N), TwoLayers()
    run(tmp_path / "one.h5", images, loader=iterated(images), shard_size=None)
    with pytest.raises(RuntimeError, match="the power went off"):
        run(path, images, loader=iterated(images, stop=20))
    seen: list[int] = []
    handle = model.register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    run(path, images, loader=iterated(images), resume=True, model=model)
    handle.remove()
    assert sum(seen) == N - 16
    assert digest(path) == digest(tmp_path / "one.h5")


def test_iterator_that_comes_in_another_order_is_refused(tmp_path: Path) -> None:
    path, images = tmp_path / "x.h5", Images(N)
    with pytest.raises(RuntimeError, match="the power went off"):
        run(path, images, loader=iterated(images, stop=20))
    backwards = iterated(images, order=list(range(N))[::-1])
    with pytest.raises(StoreError, match=r"batch \d has other labels .* the data come in another order than before"):
        run(path, images, loader=backwards, resume=True)
    run(path, images, loader=iterated(images), resume=True)
    assert len(FeatureStore(path)) == N


@pytest.mark.parametrize("num_batches", [1, 2, 3])
def test_iterator_that_ends_sooner_is_refused(num_batches: int, tmp_path: Path) -> None:
    path, images = tmp_path / "x.h5", Images(N)
    with pytest.raises(RuntimeError, match="the power went off"):
        run(path, images, loader=iterated(images, stop=20), ids=None)
    fewer = islice(iterated(images), num_batches)
    with pytest.raises(StoreError, match=r"the dataloader ends before the end of .*shard-0000[01].h5"):
        run(path, images, loader=fewer, resume=True, ids=None)
    assert len(list(parts_of(path).glob("shard-*"))) == 2


def test_loader_of_the_tests_is_plain() -> None:
    assert type(data(Images(3))) is DataLoader


def test_parts_of_another_call_do_not_make_a_file_replaceable(begun: Path) -> None:
    begun.write_bytes(b"whole")
    with pytest.raises(StoreError, match="exists already"):
        run(begun, Images(N), shard_size=None)
    assert begun.read_bytes() == b"whole"


def test_what_else_lies_in_the_folder_of_parts_stays(begun: Path) -> None:
    (parts_of(begun) / ".git").mkdir()
    run(begun, Images(N), resume=True).close()
    assert (parts_of(begun) / ".git").is_dir()
