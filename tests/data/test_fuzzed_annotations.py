"""A thousand damaged files of labels: each loads as what it says or gives a clear error, and leaves nothing behind."""

from __future__ import annotations

import json
import pickle
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from nctools.data.own.loading import load_own
from nctools.data.own.validation import validate
from nctools.data.published.pickles import read_published_pickle
from nctools.errors import DatasetError

_T = TypeVar("_T")
FILES = [f"img_{index}.png" for index in range(6)]
XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotation>\n  <filename>img_{0}.png</filename>\n'
    "  <size><width>4</width><height>4</height></size>\n"
    "  <object><name>cat</name><difficult>{1}</difficult><part><name>head</name></part></object>\n"
    "  <object><name>dog {0}</name><bndbox><xmin>1</xmin></bndbox></object>\n</annotation>\n"
)
COCO = {
    "images": [{"id": 7 + index, "file_name": name, "width": 4} for index, name in enumerate(FILES)],
    "annotations": [
        {"id": index, "image_id": 7 + index % 6, "category_id": 3 - index % 3, "bbox": [0, 0, 2.5, 3], "area": 7.5}
        for index in range(9)
    ],
    "categories": [{"id": index, "name": name} for index, name in enumerate(["cat", "dog", "tree", "elk"])],
}
TABLES = [
    {"classes": ["cat", "dog"], "images": [{"file": name, "labels": ["cat", 1], "split": "train"} for name in FILES]},
    {name: [index % 2, 1, 0] for index, name in enumerate(FILES)},
    {name: ["cat", "dog"][: index % 3] for index, name in enumerate(FILES)},
]
CSVS = [
    "image,split,cat,dog\n"
    + "".join(f"{name},{'train' if index else 'val'},1,0\n" for index, name in enumerate(FILES)),
    "file;label\n" + "".join(f'"{name}";{index % 3}.0\n' for index, name in enumerate(FILES)),
    "image\tlabel\n" + "".join(f"{name}\tclass {index % 2}\n" for index, name in enumerate(FILES)),
]
SPLIT_FILE = {
    "gt_labels": [np.arange(4) % 2 for _ in range(3)],
    "class_freq": np.arange(4),
    "head": {np.int64(0), np.int64(2)},
    "names": ["cat", "dog"],
}
VALUES = [b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"null", b"true", b'""', b"{}", b"[]", b"0x1", b"\\ud800"]
HOSTILE = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b'"',
    b"../../etc/passwd",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"<a>" * 3000,
    b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d SYSTEM "file:///etc/passwd">]>',
    b"&d;",
    b"cos\nsystem\n(S'touch harm'\ntR.",
    b"\x93\x8c\x02os\x8c\x06system\x93\x8c\ntouch harm\x85R.",
    b"r\xff\xff\xff\x7f",
]
ENCODINGS = ["utf-16", "utf-32", "latin-1", "cp500", "utf-7"]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Damage a file in one to four ways."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        content = chance.choice(MUTATIONS)(content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        if damaged:
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def _slice(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(content))
    return start, min(len(content), start + chance.choice([1, 3, 20, 200]))


def _cut_end(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _cut_out(content: bytes, chance: random.Random) -> bytes:
    start, end = _slice(content, chance)
    return content[:start] + content[end:]


def _duplicate(content: bytes, chance: random.Random) -> bytes:
    start, end = _slice(content, chance)
    return content[:end] + content[start:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    start, _ = _slice(content, chance)
    return content[:start] + chance.choice([*HOSTILE, *VALUES, chance.randbytes(9)]) + content[start:]


def _swap_tokens(content: bytes, chance: random.Random) -> bytes:
    words = list(re.finditer(rb"\w+|[^\w\s]", content))
    if len(words) < 2:
        return content
    one, two = sorted(chance.sample(words, 2), key=lambda word: word.start())
    middle = content[one.end() : two.start()]
    return content[: one.start()] + two[0] + middle + one[0] + content[two.end() :]


def _other_value(content: bytes, chance: random.Random) -> bytes:
    words = list(re.finditer(rb'"[^"]*"|\d+(\.\d+)?', content))
    if not words:
        return content
    word = chance.choice(words)
    return content[: word.start()] + chance.choice(VALUES) + content[word.end() :]


def _lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines[: chance.randint(0, len(lines))] + lines)


def _encoding(content: bytes, chance: random.Random) -> bytes:
    return content.decode("utf-8", "replace").replace("cat", "kätzchen").encode(chance.choice(ENCODINGS), "replace")


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip, _cut_end, _cut_out, _duplicate, _insert, _swap_tokens, _other_value, _lines, _encoding,
]  # fmt: skip


def put_csv(folder: Path, chance: random.Random) -> Path:
    (folder / "t.csv").write_bytes(mutated(chance.choice(CSVS).encode(), chance))
    return folder / "t.csv"


def put_table(folder: Path, chance: random.Random) -> Path:
    (folder / "t.json").write_bytes(mutated(json.dumps(chance.choice(TABLES), indent=1).encode(), chance))
    return folder / "t.json"


def put_coco(folder: Path, chance: random.Random) -> Path:
    (folder / "t.json").write_bytes(mutated(json.dumps(COCO, indent=chance.choice([None, 1])).encode(), chance))
    return folder / "t.json"


def put_list(folder: Path, chance: random.Random) -> Path:
    lines = "".join(f"{name} {index % 3} {index % 2 + 3}\n" for index, name in enumerate(FILES))
    (folder / "t.txt").write_bytes(mutated(lines.encode(), chance))
    return folder / "t.txt"


def put_voc(folder: Path, chance: random.Random) -> Path:
    damaged = chance.randrange(len(FILES))
    for index, name in enumerate(FILES):
        content = XML.format(index, index % 2).encode()
        (folder / name).with_suffix(".xml").write_bytes(mutated(content, chance) if index == damaged else content)
    if chance.random() < 0.3:
        (folder / "ImageSets/Main").mkdir(parents=True)
        (folder / "ImageSets/Main/train.txt").write_bytes(mutated(b"img_0\nimg_1\nimg_3\n", chance))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("put", "times"), [(put_csv, 200), (put_table, 200), (put_coco, 200), (put_voc, 150), (put_list, 100)]
)
def test_damaged_labels_load_rightly_or_give_a_clear_error(
    put: Callable[[Path, random.Random], Path], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = {"loaded": 0, "refused": 0}
    monkeypatch.chdir(tmp_path)
    for shade, name in enumerate(FILES):
        Image.new("RGB", (2, 2), (shade,) * 3).save(tmp_path / name)
    for seed in range(times):
        path = put(tmp_path, random.Random(f"{put.__name__} {seed}"))
        before = contents(tmp_path)
        outcomes["loaded" if loads(path) else "refused"] += 1
        assert contents(tmp_path) == before, seed
        shutil.rmtree(tmp_path / "ImageSets", ignore_errors=True)
    # Damage of a name or of blanks is no error; most other damage is.
    assert outcomes["loaded"] > times // 50, outcomes
    assert outcomes["refused"] > times // 4, outcomes


def loads(path: Path) -> bool:
    """Load and check a source; the two must agree whether anything is wrong."""
    data, refusal = attempt(load_own, path)
    report, unreadable = attempt(lambda source: validate(source, decode=False), path)
    assert (report is not None and report.ok) == (data is not None), (refusal, unreadable, report)
    for message in filter(None, [refusal, unreadable]):
        assert path.name in message
        assert len(message) < 20_000
    if data is None:
        return False
    assert data.targets.shape == (len(data.ids), len(data.class_names))
    assert set(data.targets.unique().tolist()) <= {0.0, 1.0}
    assert all(Path(file).is_file() for file in getattr(data.images, "paths", []))
    return True


def attempt(call: Callable[[Path], _T], path: Path) -> tuple[_T | None, str]:
    """Return what a call returns, or the message of its error about the file."""
    try:
        return call(path), ""
    except DatasetError as error:
        return None, str(error) or "no message"


def test_damaged_pickles_load_or_give_a_clear_error_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "class_split.pkl"
    loaded = 0
    for seed in range(150):
        chance = random.Random(f"pickle {seed}")
        file.write_bytes(mutated(pickle.dumps(SPLIT_FILE, chance.choice([0, 2, 4])), chance))
        before = contents(tmp_path)
        document, message = attempt(lambda path: read_published_pickle(path.read_bytes(), path), file)
        loaded += document is not None
        assert document is not None or (str(file) in message and "\n" not in message), seed
        assert contents(tmp_path) == before, seed
    assert 0 < loaded < 100
