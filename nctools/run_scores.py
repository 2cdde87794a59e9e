"""What a trained model answers on every image of a split: one pass over the images, kept beside the run."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from nctools import __version__
from nctools._factories import is_factory
from nctools.checkpoints import Answers, answers_of, tell
from nctools.data.own.folder_walk import files_below
from nctools.data.sources import ROOT_VARIABLE
from nctools.evaluation.arrays import as_scores_and_targets
from nctools.evaluation.protocols import Protocol
from nctools.evaluation.summary import Evaluation, evaluate_scores
from nctools.forward_options import ForwardOptions
from nctools.prepared import Prepared, prepare
from nctools.run_directory import RunDirectory, replace_atomically
from nctools.trained_runs import TrainedRun, one_run

_FORMAT: Final = 1
# How the pass is computed, not what comes out of it.
_OF_PLACE: Final = frozenset({"batch_size", "workers", "device"})
_USUAL: Final = {"weights": "raw", "channels_last": False}


@dataclass(frozen=True, eq=False)
class RunScores:
    """The logits of a trained model on the images of a split, and the truth about them.

    Args:
        logits: ``[N, C]`` float32, before any softmax or sigmoid.
        targets: ``[N, C]`` bool: the image holds the class. Where that is unknown, it is False.
        unknown: ``[N, C]`` bool: it is not known whether the image holds the class.
        class_names: C names.
        groups: Named lists of class indices; empty where nobody knows them.
        class_counts: Training images of each class, or None where nobody knows them.
        single_label: Each image has exactly one label: probabilities are a softmax, else a sigmoid.
        checkpoint: File of weights; None for a model as it is built.
        split: The split; empty for data that have none.
        notes: What one should know of the model and its data before believing the scores.
    """

    logits: NDArray[np.float32]
    targets: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    class_names: list[str]
    groups: dict[str, list[int]]
    class_counts: list[int] | None
    single_label: bool
    checkpoint: Path | None
    split: str
    notes: tuple[str, ...] = ()

    def probabilities(self) -> NDArray[np.float32]:
        """Return the probability of each class ``[N, C]``: a softmax of single labels, else a sigmoid."""
        return np.asarray(self._answers().probabilities())

    def evaluate(self, *, protocol: Protocol = "tie-aware") -> Evaluation:
        """Summarise the scores, as ``nctools.checkpoints.evaluate_checkpoint`` does.

        Args:
            protocol: How average precision is counted.

        Returns:
            mAP by group, AP of each class, G-mAP, precision, recall, F1 and calibration.
        """
        return evaluate_scores(
            self.probabilities(),
            self.targets,
            self.class_names,
            self.groups,
            unknown=self.unknown,
            protocol=protocol,
        )

    def _answers(self) -> Answers:
        logits, targets, unknown = (torch.from_numpy(each) for each in (self.logits, self.targets, self.unknown))
        return Answers(logits, targets, unknown, self.class_names, self.single_label)


def scores_of(
    path: str | Path | None,
    *,
    split: str | None = "test",
    progress: bool = False,
    keep: bool = True,
    **options: Unpack[ForwardOptions],
) -> RunScores:
    """Run a trained model over a split of its data, or take what was kept of the last time.

    Of a run of nctools the scores are kept in ``RUN/scores/best-test.npz`` (checkpoint and split) and taken again if
    weights, split and options are the same, and so are the files of a folder of the user's own. Images that a table
    names, and those of data sets with a name, are not looked at: ``keep=False`` scores them anew.

    Args:
        path: A run directory (its best checkpoint on validation, else its last), a file of weights, or None for the
            model of the options as it is built.
        split: ``"train"``, ``"validation"`` or ``"test"``; None is ``"test"`` for data sets with a name.
        progress: Show on stderr what is run over what, and how far it is.
        keep: Take what was kept, and keep what is computed.
        **options: As for ``nctools.checkpoints.extract_checkpoint``.

    Returns:
        Logits and targets of every image.

    Raises:
        CheckpointError: If the checkpoint is missing, unreadable or made for other classes, or its model returns no
            logits of these classes.
        DatasetError: If the data are missing, unreadable or empty.

    Example:
        >>> found = scores_of("runs/mlc_nc")  # doctest: +SKIP
        >>> found.logits.shape, found.evaluate().mean_average_precision["tail"]  # doctest: +SKIP
        ((1000, 20), 0.47)
    """
    run = None if path is None else one_run(path)
    for note in [] if run is None else run.notes():
        sys.stderr.write(f"note: {note}\n")
    place = _place(run, split, options) if keep else None
    key = "" if run is None or place is None else _key(run, split, options)
    if run is not None and place is not None:
        kept = _read(place, key, run.checkpoint, progress=progress)
        if kept is not None:
            return kept
    ready = prepare(
        None if run is None else run.checkpoint, options, split=split, default_split="test", mark_unknown=True
    )
    tell(ready, progress=progress)
    scores = _scores(ready, options, None if run is None else run.checkpoint, progress=progress)
    if place is not None:
        _write(place, key, scores)
    return scores


def _scores(ready: Prepared, options: ForwardOptions, checkpoint: Path | None, *, progress: bool) -> RunScores:
    answers = answers_of(ready, options, progress=progress)
    logits, targets = as_scores_and_targets(answers.logits, answers.targets, class_names=answers.class_names)
    return RunScores(
        logits=logits.astype(np.float32, copy=False),
        targets=targets,
        unknown=np.asarray(answers.unknown),
        class_names=answers.class_names,
        groups=ready.groups or {},
        class_counts=ready.class_counts,
        single_label=answers.single_label,
        checkpoint=checkpoint,
        split=ready.split,
        notes=tuple(ready.network.notes),
    )


def _place(run: TrainedRun | None, split: str | None, options: ForwardOptions) -> Path | None:
    # Where scores are kept; nowhere without a run, or where code of the user's own makes model or data.
    given = [options.get("model"), options.get("data")]
    made_by_code = any(value is not None and not isinstance(value, str | Path) for value in given) or any(
        isinstance(value, str) and is_factory(value) for value in given
    )
    if run is None or run.folder is None or made_by_code:
        return None
    weights = options.get("weights", "raw")
    name = f"{run.checkpoint.stem}-{split or 'test'}{'' if weights == 'raw' else f'-{weights}'}.npz"
    return RunDirectory(run.folder).scores / name


def _key(run: TrainedRun, split: str | None, options: ForwardOptions) -> str:
    # Everything that the scores depend on; other scores have another key.
    chosen = {
        name: value
        for name, value in options.items()
        if name not in _OF_PLACE and value is not None and _USUAL.get(name) != value
    }
    config = run.config() or {}
    own = Path(str(options.get("data") or options.get("dataset") or config.get("dataset")))
    with run.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = {
        "format": _FORMAT,
        "nctools": __version__,
        "checkpoint": digest,
        "split": split,
        "options": chosen,
        "root": os.environ.get(ROOT_VARIABLE),
        "labels": _state_of(own),
    }
    return json.dumps(known, sort_keys=True, default=str)


def _state_of(own: Path) -> str | None:
    # Changes with the size or the time of a file of labels, or of any file in a folder; None for other names.
    if not own.exists():
        return None
    digest = hashlib.sha256()
    for name in files_below(own) if own.is_dir() else [""]:
        if not (own / name).exists():  # a link that leads nowhere
            continue
        facts = (own / name).stat()
        digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(place: Path, key: str, checkpoint: Path, *, progress: bool) -> RunScores | None:
    # What was kept under this key; None where there is nothing, something else, or a damaged file.
    if not place.is_file():
        return None
    try:
        with place.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            about = json.loads(str(file["about"]))
            logits = np.asarray(file["logits"], dtype=np.float32)
            targets, unknown = (_unpacked(file[name], logits.shape) for name in ("targets", "unknown"))
        notes = tuple(str(note) for note in about["notes"])
        scores = RunScores(logits, targets, unknown, checkpoint=checkpoint, notes=notes, **about["scores"])
        if len(scores.class_names) != logits.shape[1]:
            return None
    except Exception:  # whatever is wrong with the file: it is made anew
        return None
    if progress:
        sys.stderr.write(f"scores of {checkpoint} kept in {place}\n")
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    return scores


def _unpacked(bits: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = shape
    return np.unpackbits(bits, axis=1, count=columns).astype(bool).reshape(rows, columns)


def _write(place: Path, key: str, scores: RunScores) -> None:
    kept = {name: getattr(scores, name) for name in ("class_names", "groups", "class_counts", "single_label", "split")}
    try:
        with replace_atomically(place) as temporary:
            np.savez(
                temporary,
                key=np.array(key),
                about=np.array(json.dumps({"scores": kept, "notes": scores.notes})),
                logits=scores.logits,
                targets=np.packbits(scores.targets, axis=1),
                unknown=np.packbits(scores.unknown, axis=1),
            )
    except OSError as error:
        # A run that may only be read has its scores all the same.
        sys.stderr.write(f"note: the scores are not kept: {error}\n")
