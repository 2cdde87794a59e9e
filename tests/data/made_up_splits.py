"""Writes files in the forms of the published splits, with made-up ids and labels."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nctools.collapse.groups import head_medium_tail
from nctools.data.annotations import Annotations
from nctools.data.published.facts import PLT_VOC_CLASSES, SOURCE_CLASSES, VOC_CLASSES, Draw, PublishedSplit, id_digest


@dataclass
class MadeUp:
    """A long-tailed set of 150 images."""

    source: str
    ids: list[str]
    labels: NDArray[np.uint8]

    @property
    def counts(self) -> list[int]:
        counts: list[int] = self.labels.sum(axis=0, dtype=np.int64).tolist()
        return counts

    def facts(self, name: str, *, in_order: bool = True) -> PublishedSplit:
        sizes = [len(members) for members in head_medium_tail(self.counts).values()]
        return PublishedSplit(
            name=name,
            title=name.upper().replace("_", "-"),
            source=self.source,
            num_images=len(self.ids),
            num_labels=sum(self.counts),
            group_sizes=(sizes[0], sizes[1], sizes[2]),
            draw=Draw(6, 100),
            class_counts=tuple(self.counts),
            count_range=(max(self.counts), min(self.counts)),
            digest=id_digest(self.ids),
            digest_in_order=id_digest(self.ids, in_order=True) if in_order else None,
        )

    def class_freq(self) -> dict[str, object]:
        wide = self.labels.astype(np.int64)
        counts = wide.sum(axis=0)
        return {
            "gt_labels": list(wide),
            "class_freq": counts,
            "neg_class_freq": len(wide) - counts,
            "condition_prob": (wide.T @ wide) / np.maximum(counts, 1)[:, None],
        }

    def class_split(self) -> dict[str, object]:
        head, medium, tail = head_medium_tail(self.counts).values()
        return {
            "head": set(map(np.int64, head)),
            "middle": set(map(np.int64, medium)),
            "tail": set(map(np.int64, tail)),
        }

    def all_labels(self) -> dict[str, object]:
        """As in terse_gt files: more images, ascending ids, some labels more."""
        ids = sorted([*self.ids, "2012_999999" if self.source == "voc" else "999999"])
        rows = dict(zip(self.ids, self.labels.astype(np.int64), strict=True))
        labels = [rows.get(image_id, np.ones(self.labels.shape[1], np.int64)) for image_id in ids]
        return {"gt_labels": labels, "idx2img_id": ids, "img_id2idx": {name: row for row, name in enumerate(ids)}}

    def partial(self) -> dict[str, list[int]]:
        """As in PLT files, with their order of the VOC classes."""
        columns = [VOC_CLASSES.index(name) for name in PLT_VOC_CLASSES] if self.source == "voc" else slice(None)
        rows: list[list[int]] = self.labels[:, columns].tolist()
        names = [f"{image_id}.jpg" if self.source == "voc" else f"{int(image_id):012}.jpg" for image_id in self.ids]
        return dict(zip(names, rows, strict=True))

    def annotations(self, source: str) -> Annotations:
        """What labels_of would give: other order, one image more."""
        assert source == self.source
        known = [*reversed(self.ids), "extra"]
        labels = np.concatenate([self.labels[::-1], self.labels[:1]])
        return Annotations("made-up set", list(SOURCE_CLASSES[source]), known, Path(), known, labels)

    def write(self, folder: Path, protocol: int = 2) -> Path:
        """Write ids, class_freq and class_split as in longtail2012 and longtail2017."""
        folder.mkdir(parents=True, exist_ok=True)
        name = "img_id.txt" if self.source == "voc" else "img_id.pkl"
        (folder / name).write_text("".join(f"{image_id}\n" for image_id in self.ids))
        write_pickle(folder / "class_freq.pkl", self.class_freq(), protocol)
        write_pickle(folder / "class_split.pkl", self.class_split(), protocol)
        return folder

    def write_partial(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.partial()))
        return path


def made_up(source: str = "voc", num_images: int = 150, seed: int = 0) -> MadeUp:
    """A set with head, medium and tail classes."""
    rng = np.random.default_rng(seed)
    num_classes = len(SOURCE_CLASSES[source])
    shares = np.geomspace(0.9, 0.02, num_classes)
    labels = (rng.random((num_images, num_classes)) < rng.permutation(shares)).astype(np.uint8)
    numbers = rng.permutation(num_images) + 1000 * seed
    ids = [f"{2008 + n % 4}_{n:06}" if source == "voc" else str(1000 + 7 * n) for n in numbers.tolist()]
    return MadeUp(source, ids, labels)


def write_pickle(path: Path, document: object, protocol: int = 2) -> Path:
    """Pickle with the module names of NumPy 1, where the protocol writes them without a length."""
    content = pickle.dumps(document, protocol)
    if protocol < 4:
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
