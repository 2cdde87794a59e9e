"""Recognises published split files by what they hold: names mislead (``img_id.pkl`` of COCO-LT is a text file)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from nctools.data.label_matrix import class_counts
from nctools.data.published.dicts import read_dict
from nctools.data.published.facts import PLT_VOC_CLASSES, PUBLISHED_SPLITS, SOURCE_CLASSES, VOC_CLASSES
from nctools.data.published.file import PublishedFile, UnknownContentError, plain_ids, source_of
from nctools.data.published.pickles import read_published_pickle
from nctools.data.split_file import is_split_file
from nctools.errors import DatasetError

# Bytes of a file.
_LARGEST = 64 * 2**20
# Images of the stray COCO list, and of COCO val2017.
_STRAY_IDS = 1886
_TEST_IDS = 5000
# Fewer plain numbers may be anything.
_FEWEST_IDS = 10


def recognise(path: str | os.PathLike[str]) -> PublishedFile:
    r"""Tell what a published split file holds, and check that it does not contradict itself. Nothing in it is run.

    Args:
        path: The file, whatever it is called.

    Returns:
        Its content. A file that is known but of no use has the reason in ``refused``.

    Raises:
        UnknownContentError: If it is missing, empty, larger than 64 MB, or no published split file.
        DatasetError: If it is of a known kind and wrong; the message names the image or the class.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "img_id.pkl")
        ...     _ = path.write_text("2008_000023\n2008_000024\n")
        ...     found = recognise(path)
        >>> found.kind, found.source, found.summary
        ('ids', 'voc', '2 VOC ids')
    """
    file = Path(path)
    content = _bytes(file)
    text = _text(content)
    found: PublishedFile | None
    if content.startswith(b"\x93NUMPY"):
        found = _co_occurrence(file)
    elif text is None:
        found = _pickle(content, file)
    else:
        found = _json(text, file) if text.startswith("{") else _lines(text, file)
    if found is None and content[:1] in b"(}":  # pickles of the oldest protocols are text
        found = _pickle(content, file)
    if found is None:
        begins = f"it begins with {(text or '').partition(chr(10))[0][:40]!r}"
        what = (
            "is a split file of nctools already: load it as it is" if is_split_file(file) else f"is unknown: {begins}"
        )
        raise UnknownContentError(
            f"{file} {what}. Published are lists of ids (img_id), class_freq.pkl, class_split.pkl, terse_gt_*.pkl, "
            "PLT_*.json and distribution.txt"
        )
    return replace(found, sha256=hashlib.sha256(content).hexdigest())


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise UnknownContentError(
                f"{file} has {size / 2**20:.0f} MB; published split files have less than {_LARGEST // 2**20} MB: "
                "this is another file"
            )
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise UnknownContentError(f"{file} does not exist: give a published split file, or its folder") from error
    except OSError as error:
        raise UnknownContentError(f"{file} cannot be read: {error.strerror or error}") from error
    if not content.strip():
        size_text = "0 bytes" if not content else "nothing but blanks"
        raise UnknownContentError(f"{file} is empty ({size_text}); such copies circulate: get it again")
    return content


def _text(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text.strip() if all(c.isprintable() or c in "\t\r\n" for c in text[:4096]) else None


def _pickle(content: bytes, file: Path) -> PublishedFile:
    try:
        document = read_published_pickle(content, file)
    except DatasetError as error:
        raise UnknownContentError(str(error)) from error
    return read_dict(document, file)


def _lines(text: str, file: Path) -> PublishedFile | None:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and "," in text:
        return _class_counts(text, file)
    if all(len(line) == 1 for line in lines):
        found = plain_ids([line[0] for line in lines], file)
        return None if found is None or (found[0] == "coco" and len(lines) < _FEWEST_IDS) else _ids(*found, file)
    is_list = all(re.search(r"(?i)\.(jpe?g|png)$", line[0]) for line in lines)
    if not is_list or not all(index.isdecimal() for line in lines for index in line[1:]):
        return None
    found = plain_ids([line[0] for line in lines], file)
    if found is None:
        return None
    refused = (
        "it is a list of images with class indices (LMPT, CPRFL): load it as data of your own, or give class_freq.pkl "
        "and the list of ids of the same set"
    )
    return PublishedFile(file, "label_list", found[0].removesuffix("2007"), ids=found[1], refused=refused)


def _class_counts(text: str, file: Path) -> PublishedFile | None:
    values = [value.strip() for value in text.rstrip(",").split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in values):
        return None
    return PublishedFile(file, "class_counts", source_of(len(values), file), counts=[int(value) for value in values])


def _ids(source: str, ids: list[str], file: Path) -> PublishedFile:
    refused = ""
    if source == "voc2007":
        refused = "it lists images of VOC2007, the test set; the published training images are of VOC2012 trainval"
    elif source == "coco" and len(ids) == _STRAY_IDS:
        refused = (
            "it lists 1,886 images of another draw (its usual place is beside the folder, longtail2017img_id.pkl); the "
            "1,909 of COCO-LT are in img_id.pkl inside of the folder longtail2017"
        )
    elif source == "coco" and len(ids) == _TEST_IDS:
        refused = "it lists 5,000 images, as many as COCO val2017 has: the test set, of which no split is made"
    return PublishedFile(file, "ids", source.removesuffix("2007"), ids=ids, refused=refused)


def _json(text: str, file: Path) -> PublishedFile | None:
    # Looked at before it is parsed: annotations of COCO are large.
    if re.match(r'(?i)\{\s*"[^"\\]{1,200}\.(jpe?g|png)"\s*:\s*\[', text) is None:
        return None
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file} is not valid JSON ({error}): get it again") from error
    names = [name for name, _ in pairs]
    found = plain_ids(names, file)
    if found is None or found[0] == "voc2007":
        raise UnknownContentError(f"{file} names images such as {names[0]!r}, which are not of VOC2012 or COCO")
    source, ids = found
    width = len(SOURCE_CLASSES[source])
    for number, (name, values) in enumerate(pairs, start=1):
        place = f'{file}, image {number} ("{name}")'
        if not isinstance(values, list) or len(values) != width:
            size = f"{len(values)} values" if isinstance(values, list) else str(values)[:40]
            raise DatasetError(f"{place}: {size}, but {source.upper()} has {width} classes: give a 0 or 1 for each")
        for index, value in enumerate(values):
            if type(value) is not int or value not in (0, 1):
                raise DatasetError(f"{place}, class {index}: {str(value)[:20]} is neither 0 nor 1")
    labels = np.array([values for _, values in pairs], dtype=np.uint8)
    if source == "voc" and tuple(class_counts(labels)) != PUBLISHED_SPLITS["plt_voc"].class_counts:
        labels = labels[:, [PLT_VOC_CLASSES.index(name) for name in VOC_CLASSES]]
    return PublishedFile(file, "partial_labels", source, ids=ids, labels=labels)


def _co_occurrence(file: Path) -> PublishedFile:
    try:
        # A mapped file is no larger than it says, and cannot hold objects.
        pairs = np.load(file, mmap_mode="r", allow_pickle=False)
        if pairs.ndim != 2 or pairs.shape[0] != pairs.shape[1] or pairs.dtype.kind not in "iuf":
            raise UnknownContentError(f"{file} holds {pairs.dtype} {list(pairs.shape)}; known are C x C pair counts")
        with np.errstate(invalid="ignore"):
            whole = np.nan_to_num(pairs).astype(np.int64)
    except DatasetError:
        raise
    except Exception as error:  # a damaged header makes the reader fail in many ways
        raise UnknownContentError(f"{file} is no readable .npy file: {' '.join(str(error).split())[:160]}") from error
    if not np.array_equal(whole, pairs) or not np.array_equal(whole, whole.T) or (whole < 0).any():
        raise DatasetError(f"{file}: pair counts must be whole, not negative and symmetric")
    return PublishedFile(file, "co_occurrence", source_of(len(whole), file), pairs=whole)
