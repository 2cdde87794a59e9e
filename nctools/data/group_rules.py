"""groups_from: groups of classes from a rule in words, as a command line and a checkpoint hold it. No torch."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from nctools.collapse.groups import check_groups, head_medium_tail, quantile_groups
from nctools.errors import DatasetError, UnknownNameError

_NUMBER = r"\s*(\d*\.?\d+)\s*"
_THRESHOLDS = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*")
_QUANTILES = re.compile(rf"\s*quantiles:{_NUMBER},{_NUMBER}")
_LOOKS = 'it should look like {"head": [0, 1], "tail": [2]} (class indices)'
_LISTED = 10


def groups_from(rule: str | None, class_counts: Sequence[int], class_names: Sequence[str]) -> dict[str, list[int]]:
    """Make the groups that a rule names.

    Args:
        rule: One of

            - None: head from 100 training images, medium from 20, tail below;
            - ``"H,M"``: the same with these two thresholds;
            - ``"quantiles:A,B"``: with the classes from the most frequent to the rarest, head up to the share A of
              them, tail from the share B on (``"quantiles:0.33,0.67"``: thirds); see ``quantile_groups``;
            - the path of a JSON file of named groups, see ``read_group_file``.
        class_counts: Training images of each class.
        class_names: Names of the classes.

    Returns:
        Group name -> class indices.

    Raises:
        ValueError: If thresholds or quantiles are not in order.
        DatasetError: If the rule is none of the four, or the file cannot be read or does not fit the classes.

    Warns:
        UserWarning: If a file leaves classes out of every group, or equal counts leave head or tail empty.

    Example:
        >>> groups_from("50,5", [80, 9, 4], ["cat", "dog", "cow"])
        {'head': [0], 'medium': [1], 'tail': [2]}
    """
    groups, notes = groups_and_notes(rule, class_counts, class_names)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return groups


def groups_and_notes(
    rule: str | None, class_counts: Sequence[int], class_names: Sequence[str]
) -> tuple[dict[str, list[int]], list[str]]:
    """Make the groups that a rule names, with what should be known of them in place of warnings.

    Args:
        rule: As for ``groups_from``.
        class_counts: Training images of each class.
        class_names: Names of the classes.

    Returns:
        Group name -> class indices, and notes.

    Raises:
        ValueError: If thresholds or quantiles are not in order.
        DatasetError: If the rule is none of the four, or the file cannot be read or does not fit the classes.

    Example:
        >>> groups_and_notes("quantiles:0.5,0.5", [9, 4, 4, 4], ["cat", "dog", "cow", "owl"])[1]
        ['quantiles:0.5,0.5 leave tail empty: classes with equal counts stay together, in medium']
    """
    check_rule(rule)
    if rule is None:
        return head_medium_tail(class_counts), []
    if found := _THRESHOLDS.fullmatch(rule):
        return head_medium_tail(class_counts, head=int(found[1]), medium=int(found[2])), []
    if found := _QUANTILES.fullmatch(rule):
        return _by_quantiles(class_counts, float(found[1]), float(found[2]))
    path = Path(rule)
    if not path.is_file():
        raise DatasetError(
            f"groups {rule!r} are no file, nor a rule: give two thresholds such as 100,20, shares such as "
            "quantiles:0.33,0.67, or a JSON file of named groups"
        )
    groups = read_group_file(path, class_names)
    return groups, _classes_without_group(groups, class_names, path)


def check_rule(rule: str | None) -> None:
    """Raise if the numbers of a rule are out of order; other rules are seen with the classes.

    Args:
        rule: As for ``groups_from``.

    Raises:
        ValueError: If thresholds or quantiles are not in order.

    Example:
        >>> check_rule("20,100")
        Traceback (most recent call last):
        ValueError: thresholds 20,100: head begins at the first, medium at the second, which cannot be larger: 100,20
    """
    if found := _THRESHOLDS.fullmatch(rule or ""):
        head, medium = int(found[1]), int(found[2])
        if head < medium:
            raise ValueError(
                f"thresholds {head},{medium}: head begins at the first, medium at the second, which cannot be larger: "
                f"{medium},{head}"
            )
    if found := _QUANTILES.fullmatch(rule or ""):
        first, second = float(found[1]), float(found[2])
        if not 0 <= first <= second <= 1:
            raise ValueError(f"quantiles:{first:g},{second:g}: they must satisfy 0 <= first <= second <= 1")


def read_group_file(path: Path, class_names: Sequence[str] | None = None) -> dict[str, list[int]]:
    """Read named groups of classes.

    Args:
        path: JSON file ``{"head": ["cat", 1], "tail": [2]}``, any names of groups, classes as names or indices.
            ``"middle"``, as the published files say, becomes ``"medium"``.
        class_names: Names of the classes; without them classes are given as indices, which are not checked for being
            too large.

    Returns:
        Group name -> class indices, in the order of the file. Groups may overlap and need not hold every class.

    Raises:
        DatasetError: If the file cannot be read or holds something else, a class is unknown or stands twice in one
            group, or a group is given twice.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "groups.json")
        ...     _ = path.write_text('{"pets": ["cat", "dog"], "middle": [2]}')
        ...     read_group_file(path, ["cow", "cat", "dog"])
        {'pets': [1, 2], 'medium': [2]}
    """
    groups: dict[str, list[int]] = {}
    for written, classes in _named_lists(path):
        name = "medium" if written == "middle" else written
        if name in groups:
            raise DatasetError(f"{path} gives the group {name!r} twice: put its classes into one list")
        groups[name] = [_class_index(member, class_names, f"{path}, group {name!r}") for member in classes]
    try:
        return check_groups(groups, _number_of_classes(groups, class_names))
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def _by_quantiles(class_counts: Sequence[int], first: float, second: float) -> tuple[dict[str, list[int]], list[str]]:
    groups = quantile_groups(class_counts, head=first, tail=1 - second)
    # A share that is less than half a class asks for none.
    wanted = {"head": first * len(class_counts), "tail": (1 - second) * len(class_counts)}
    empty = [name for name, classes in wanted.items() if classes >= 0.5 and not groups[name]]
    if not empty:
        return groups, []
    left = f"quantiles:{first:g},{second:g} leave {' and '.join(empty)} empty"
    return groups, [f"{left}: classes with equal counts stay together, in medium"]


def _named_lists(path: Path) -> list[tuple[str, list[object]]]:
    # The pairs as the file has them: a dict would drop a name that is given twice.
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=tuple)
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path} cannot be read as a JSON file of groups ({' '.join(str(error).split())})"
        ) from error
    if not isinstance(document, tuple) or not all(isinstance(classes, list) for _, classes in document):
        raise DatasetError(f"{path} holds no groups: {_LOOKS}")
    return list(document)


def _class_index(member: object, class_names: Sequence[str] | None, place: str) -> int:
    if isinstance(member, int) and not isinstance(member, bool):
        return member
    if not isinstance(member, str):
        raise DatasetError(f"{place} holds {json.dumps(member)}, which is no class: {_LOOKS}")
    if class_names is None:
        raise DatasetError(f"{place} holds {member!r}, but class names are not known here: give class indices")
    try:
        return list(class_names).index(member)
    except ValueError:
        raise DatasetError(f"{place}: {UnknownNameError('class', member, class_names)}") from None


def _number_of_classes(groups: dict[str, list[int]], class_names: Sequence[str] | None) -> int:
    if class_names is not None:
        return len(class_names)
    return 1 + max((index for classes in groups.values() for index in classes), default=0)


def _classes_without_group(groups: dict[str, list[int]], class_names: Sequence[str], path: Path) -> list[str]:
    grouped = {index for classes in groups.values() for index in classes}
    alone = [name for index, name in enumerate(class_names) if index not in grouped]
    if not alone:
        return []
    more = f", ... ({len(alone)} in all)" if len(alone) > _LISTED else ""
    return [f"{path} puts no group around {', '.join(alone[:_LISTED])}{more}: they count among all classes only"]
