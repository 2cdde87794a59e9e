"""What a check of the user's own data found: findings by kind, and counts. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from nctools.data.annotations import Problem

Level = Literal["error", "warning"]
LEVELS: tuple[Level, ...] = ("error", "warning")

# Name, usual level and meaning of each kind of finding. An error keeps the data from being loaded, or makes numbers
# that are measured on them wrong.
KINDS: dict[str, tuple[Level, str]] = {
    "bad_value": ("error", "a value that is not of the form"),
    "row_length": ("error", "a row with too few or too many values"),
    "unreadable_annotations": ("error", "a file of annotations that cannot be read"),
    "malformed_xml": ("error", "an .xml file that cannot be read"),
    "unreadable_folder": ("error", "a folder that cannot be read"),
    "unknown_class": ("error", "a class that is not in the list of classes"),
    "unknown_id": ("error", "an image that is named but not described"),
    "duplicate_id": ("error", "an image or a class that is named twice"),
    "missing_image": ("error", "an image file that is not there"),
    "unreadable_image": ("error", "a file that cannot be decoded"),
    "truncated_image": ("error", "an image file that ends too early"),
    "shared_image": ("error", "an image in two splits"),
    "duplicate_image": ("warning", "two files with the same content; in two splits an error"),
    "no_label": ("warning", "an image that holds no class"),
    "empty_class": ("warning", "a class that no image holds"),
    "no_train_positive": ("warning", "a class that no training image holds"),
    "no_test_positive": ("warning", "a class that no image to test on holds"),
    "empty_split": ("warning", "a split without images"),
    "several_labels": ("warning", "several labels read as one"),
    "unknown_split": ("warning", "a split with an unusual name, or with none"),
    "orphan_image": ("warning", "an image beside the others that has no labels"),
}


@dataclass(frozen=True)
class Finding(Problem):
    """A problem, and how bad it is.

    Args:
        place: As in ``Problem``.
        what: As in ``Problem``.
        kind: One of ``KINDS``.
        level: ``"error"`` or ``"warning"``.

    Example:
        >>> print(Finding("a.csv, line 3", "no label", "no_label", "error"))
        a.csv, line 3: no label
    """

    level: Level = "error"

    __str__ = Problem.__str__


@dataclass(frozen=True)
class ValidationReport:
    """What ``validate`` found.

    Args:
        source: What was looked at.
        form: As ``OwnAnnotations.form``.
        problems: All findings: those of the annotations first, then of images, classes and folders.
        num_images: Number of images that have labels.
        class_counts: Images of each class, by name.
        splits: Number of ``images``, ``labels`` and ``unknown`` labels in each split.
        decoded: Whether the images were decoded.
        num_unknown: Number of pairs of an image and a class of which the data say that nobody knows.
    """

    source: str
    form: str
    problems: list[Finding]
    num_images: int
    class_counts: dict[str, int]
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    decoded: bool = True
    num_unknown: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings may be there."""
        return not self.of_level("error")

    @property
    def num_labels(self) -> int:
        """Number of pairs of an image and a class it holds."""
        return sum(self.class_counts.values())

    def of_level(self, level: Level) -> list[Finding]:
        """Return the findings of a level.

        Args:
            level: ``"error"`` or ``"warning"``.

        Returns:
            Those, in their order.
        """
        return [finding for finding in self.problems if finding.level == level]

    def by_kind(self) -> dict[str, list[Finding]]:
        """Return the findings of each kind, errors first, in the order of ``KINDS``."""
        order = {kind: place for place, kind in enumerate(KINDS)}
        found: dict[str, list[Finding]] = {}
        for finding in sorted(self.problems, key=lambda one: (one.level != "error", order.get(one.kind, len(order)))):
            found.setdefault(finding.kind, []).append(finding)
        return found

    def to_document(self) -> dict[str, object]:
        """Return everything as JSON-ready values; what no terminal prints is escaped."""
        return {
            "source": printable(self.source),
            "form": self.form,
            "ok": self.ok,
            "decoded": self.decoded,
            "images": self.num_images,
            "classes": len(self.class_counts),
            "labels": self.num_labels,
            "unknown": self.num_unknown,
            "class_counts": {printable(name): count for name, count in self.class_counts.items()},
            "splits": {printable(name): dict(counts) for name, counts in self.splits.items()},
            "errors": len(self.of_level("error")),
            "warnings": len(self.of_level("warning")),
            "problems": [
                {"level": one.level, "kind": one.kind, "place": printable(one.place), "what": printable(one.what)}
                for one in self.problems
            ],
        }


def printable(text: str) -> str:
    r"""Return a text as one line that every terminal shows and none obeys.

    Args:
        text: Of a user's data: names of files and classes may hold anything.

    Returns:
        The text with what cannot be printed escaped.

    Example:
        >>> print(printable("caf\u00e9\n\x1b[31m"))
        café\n\x1b[31m
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def as_findings(problems: Iterable[Problem]) -> list[Finding]:
    """Give problems of annotations their level: all of them keep the data from being loaded.

    Args:
        problems: Of a reader.

    Returns:
        The same as errors.
    """
    return [Finding(problem.place, problem.what, problem.kind, "error") for problem in problems]
