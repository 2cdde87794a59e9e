"""Gathers published split files from paths and folders, one of each kind, all of one set. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nctools.data.published.content import recognise
from nctools.data.published.facts import PUBLISHED_SPLITS
from nctools.data.published.file import Kind, PublishedFile, UnknownContentError
from nctools.data.published.places import belongs, files_below
from nctools.errors import DatasetError

Parts = dict[Kind, PublishedFile]


def gather_parts(paths: Sequence[str | os.PathLike[str]], name: str | None) -> tuple[Parts, list[str]]:
    """Recognise files; folders are searched two levels down.

    Args:
        paths: Files and folders.
        name: Published split whose files are wanted from folders; None or another name: whatever is there.

    Returns:
        One file of each kind, all of one source, and a note for each file of a folder that was left out.

    Raises:
        DatasetError: If a file is wrong, of no use, or does not go with the others.
        ValueError: If ``paths`` is empty.
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not paths:
        raise ValueError("`paths` is empty: give published split files, or their folder")
    parts: Parts = {}
    notes: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = [part for file in files_below(path, 2) for part in _of_use(file, name, notes)]
        else:
            found = [recognise(path)]
            if found[0].refused:
                raise DatasetError(f"{found[0].title}: {found[0].refused}")
        for part in found:
            _add(parts, part)
    _check_sources(list(parts.values()), name)
    return parts, notes


def with_notes(message: str, notes: list[str]) -> str:
    """Return a message with a line for each note: what was left out may be what is missing."""
    return message + "".join(f"\n  {note}" for note in notes)


def _of_use(file: Path, name: str | None, notes: list[str]) -> list[PublishedFile]:
    # The file, or nothing; a note where that may surprise.
    try:
        found = recognise(file)
    except UnknownContentError as error:
        # Texts and JSON of all sorts lie about; pickles and empty files were perhaps meant.
        if file.suffix.lower() in {".pkl", ".npy"} or file.stat().st_size == 0:
            notes.append(f"{file.name} was left out: {str(error).removeprefix(str(file)).lstrip()}")
        return []
    if found.kind == "co_occurrence":  # only compared; of which set it is, its folder does not say
        return []
    reason = found.refused
    if name in PUBLISHED_SPLITS:
        facts = PUBLISHED_SPLITS[name]
        unused = {"ids", "class_freq"} if name.startswith("plt_") else {"partial_labels"}
        if found.source != facts.source or found.kind in unused:
            return []
        if found.kind in {"class_split", "class_counts"} and not belongs(found, facts):
            reason = reason or f"its {found.summary} are not those of {facts.title}"
    if reason:
        notes.append(f"{file.name} was left out: {reason}")
    return [] if reason else [found]


def _add(parts: Parts, part: PublishedFile) -> None:
    other = parts.setdefault(part.kind, part)
    if other.sha256 != part.sha256:
        raise DatasetError(
            f"{other.title} and {part.title} are two files of one kind ({part.kind}): give the one that is meant"
        )


def _check_sources(parts: list[PublishedFile], name: str | None) -> None:
    for part in parts[1:]:
        if part.source != parts[0].source:
            raise DatasetError(f"{parts[0].title} and {part.title} belong to different sets: give the files of one")
    if parts and name in PUBLISHED_SPLITS and parts[0].source != PUBLISHED_SPLITS[name].source:
        wanted = PUBLISHED_SPLITS[name].source.upper()
        raise DatasetError(f"{parts[0].title} does not belong to {name}, whose images are of {wanted}")
