"""Facts about the published data sets: classes, counts, how they were drawn, digests of their ids. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

# Order of the columns in the published PLT-VOC file.
PLT_VOC_CLASSES = (
    "person", "bird", "cat", "cow", "dog", "horse", "sheep", "aeroplane", "bicycle", "boat", "bus", "car",
    "motorbike", "train", "bottle", "chair", "diningtable", "pottedplant", "sofa", "tvmonitor",
)  # fmt: skip

# In ascending order of the category ids, which have gaps.
COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

# Classes of the training images, by the source of the images.
SOURCE_CLASSES = {"voc": VOC_CLASSES, "coco": COCO_CLASSES}


@dataclass(frozen=True)
class Draw:
    """Parameters of the long-tailed draw that made a published split; see ``build_long_tail``."""

    alpha: float
    n_max: int
    n_min: int = 1
    seed: int = 0


@dataclass(frozen=True)
class PublishedSplit:
    """What is known of a published training set.

    Args:
        name: Name in the catalogue.
        title: Name in the papers.
        source: Set of images it was drawn from: ``"voc"`` or ``"coco"``.
        num_images: Training images.
        num_labels: Training labels.
        group_sizes: Number of head, medium and tail classes.
        draw: How it was drawn.
        class_counts: Images with each class, in the order of the class names of the source; None where only the
            extremes are known.
        count_range: Largest and smallest class count.
        digest: SHA-256 of the sorted ids, joined with newlines; None where it is not known.
        digest_in_order: The same in the order of the published file.
    """

    name: str
    title: str
    source: str
    num_images: int
    num_labels: int
    group_sizes: tuple[int, int, int]
    draw: Draw
    class_counts: tuple[int, ...] | None
    count_range: tuple[int, int]
    digest: str | None
    digest_in_order: str | None = None


def id_digest(ids: Iterable[str], *, in_order: bool = False) -> str:
    """Return the digest by which a list of ids is known.

    Args:
        ids: Ids of the images.
        in_order: Whether their order counts; otherwise they are sorted first.

    Returns:
        SHA-256, in hexadecimal, of the ids joined by newlines.

    Example:
        >>> id_digest(["b", "a"]) == id_digest(["a", "b"], in_order=True)
        True
    """
    return hashlib.sha256("\n".join(ids if in_order else sorted(ids)).encode()).hexdigest()


_PLT_VOC_COUNTS = dict(
    zip(
        PLT_VOC_CLASSES,
        (1117, 19, 63, 7, 96, 21, 8, 13, 63, 28, 35, 468, 43, 14, 257, 617, 322, 175, 104, 115),
        strict=True,
    )
)

_VOC_LT_COUNTS = (
    6, 34, 8, 14, 154, 17, 249, 29, 479, 4, 240, 48, 11, 20, 775, 100, 5, 82, 7, 64,
)  # fmt: skip
_COCO_LT_COUNTS = (
    1128, 37, 276, 32, 9, 41, 18, 87, 20, 50, 11, 13, 8, 97, 19, 49, 70, 17, 7, 10, 8, 6, 7, 7, 100, 39, 189, 31, 24,
    11, 12, 8, 35, 10, 25, 21, 17, 10, 20, 460, 84, 498, 126, 207, 173, 366, 39, 35, 44, 36, 29, 25, 14, 45, 16, 73,
    585, 153, 164, 44, 624, 25, 200, 137, 70, 89, 73, 127, 91, 175, 9, 237, 119, 292, 87, 113, 15, 21, 6, 11,
)  # fmt: skip
_PLT_COCO_COUNTS = (
    1240, 35, 268, 33, 8, 41, 18, 101, 18, 45, 11, 12, 8, 108, 18, 66, 76, 19, 7, 11, 8, 8, 8, 7, 122, 48, 211, 39,
    26, 11, 11, 8, 31, 10, 26, 24, 18, 9, 21, 498, 96, 538, 157, 252, 199, 394, 39, 34, 54, 30, 33, 29, 13, 50, 15,
    73, 659, 180, 173, 54, 710, 25, 247, 168, 82, 95, 95, 147, 90, 182, 8, 250, 132, 355, 103, 117, 14, 21, 6, 11,
)  # fmt: skip

PUBLISHED_SPLITS: dict[str, PublishedSplit] = {
    "voc_lt": PublishedSplit(
        name="voc_lt",
        title="VOC-LT",
        source="voc",
        num_images=1142,
        num_labels=2346,
        group_sizes=(6, 6, 8),
        draw=Draw(alpha=6, n_max=800),
        class_counts=_VOC_LT_COUNTS,
        count_range=(775, 4),
        digest="6fa70d5b693700d97657acd03b18b4d198aa59795dc99828db2c21a2abf2133f",
        digest_in_order="21d64ee973b786502cf5fc25a05edd271562d0e79e930072662878c1d220a8e5",
    ),
    "coco_lt": PublishedSplit(
        name="coco_lt",
        title="COCO-LT",
        source="coco",
        num_images=1909,
        num_labels=8316,
        group_sizes=(22, 33, 25),
        draw=Draw(alpha=6, n_max=1200),
        class_counts=_COCO_LT_COUNTS,
        count_range=(1128, 6),
        digest="b2fec8ea5085da2dc305e2f1224eed7365151058a34d26f2ca340f582ff55f4c",
        digest_in_order="03ca967da27204f543e74499dcccebe56cdb5bba47fe0d800f99c9f73fa489eb",
    ),
    "plt_voc": PublishedSplit(
        name="plt_voc",
        title="PLT-VOC",
        source="voc",
        num_images=2569,
        num_labels=3585,
        group_sizes=(8, 7, 5),
        draw=Draw(alpha=12, n_max=1400),
        class_counts=tuple(_PLT_VOC_COUNTS[name] for name in VOC_CLASSES),
        count_range=(1117, 7),
        digest="ccad45beca02bcf69f012b1c2c2fa38decf91118d2f4db171d3a8cb036ee488f",
    ),
    "plt_coco": PublishedSplit(
        name="plt_coco",
        title="PLT-COCO",
        source="coco",
        num_images=2962,
        num_labels=9217,
        group_sizes=(25, 29, 26),
        draw=Draw(alpha=10, n_max=1400),
        class_counts=_PLT_COCO_COUNTS,
        count_range=(1240, 6),
        digest=None,
    ),
}
