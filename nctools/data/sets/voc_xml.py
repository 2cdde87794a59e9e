"""Reads one annotation file of PASCAL VOC: the names of its objects, and nothing that a file could do harm with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from xml.parsers import expat

from nctools.data.annotations import Problem
from nctools.data.text_files import shortened
from nctools.errors import DatasetError

_Reader = TypeVar("_Reader", bound="DocumentReader")
LARGEST_XML = 16 * 2**20
_LONGEST_NAME = 200

# What other tools write for a mark that VOC itself writes as 0 or 1.
_MARKS = {
    **dict.fromkeys(("0", "", "false", "no", "unspecified"), False),
    **dict.fromkeys(("1", "true", "yes"), True),
}


@dataclass(frozen=True, slots=True)
class VocObject:
    """One object in an image.

    Args:
        name: Name of its class.
        difficult: Whether it is marked as hard to recognise.
    """

    name: str
    difficult: bool = False


@dataclass(frozen=True, slots=True)
class VocDocument:
    """What an annotation file says about its image.

    Args:
        filename: Name of the image file; ``""`` where nothing is said.
        objects: The objects, in the order of the file.
    """

    filename: str
    objects: list[VocObject]


class VocXmlError(DatasetError):
    """An annotation file that cannot be read.

    Args:
        problem: What is wrong with it, and where.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _RefusedError(Exception):
    """Something in the file that no annotation has."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def read_voc_document(path: str | os.PathLike[str]) -> VocDocument:
    """Read one annotation file.

    Objects are the ``object`` elements directly under the root, named by their own ``name``: the parts of a person
    have names too, which are no classes.

    Args:
        path: The file, at most 16 MB.

    Returns:
        Name of the image file, and the objects.

    Raises:
        VocXmlError: If the file is missing, empty, too large or not well-formed, holds a document type or entities,
            is no annotation, or an object has no name. It names file, line and mend.

    Example:
        >>> read_voc_document("missing.xml")
        Traceback (most recent call last):
        nctools.data.sets.voc_xml.VocXmlError: missing.xml: this annotation file does not exist
    """
    reader = read_with(DocumentReader, path)
    return VocDocument(reader.filename or "", reader.objects)


def read_with(kind: type[_Reader], path: str | os.PathLike[str]) -> _Reader:
    """Let a reader go through an annotation file.

    Args:
        kind: ``DocumentReader``, or one that keeps more.
        path: The file, at most 16 MB.

    Returns:
        The reader, with what it kept.

    Raises:
        VocXmlError: As ``read_voc_document``.
    """
    place = os.fspath(path)
    content = _content(place)
    parser = expat.ParserCreate()
    reader = kind(parser)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(content, True)
    except _RefusedError as error:
        raise VocXmlError(Problem(f"{place}, line {error.line}", str(error))) from error
    except expat.ExpatError as error:
        what = f"is not well-formed XML ({expat.ErrorString(error.code)}): mend the file, or unpack it again"
        raise VocXmlError(Problem(f"{place}, line {error.lineno}", what)) from error
    except (LookupError, TypeError, ValueError) as error:  # from the codec that the first line names
        raise VocXmlError(Problem(f"{place}, line 1", f"{error}: save the file as UTF-8")) from error
    finally:
        # The parser and its reader know each other: without this they would wait for the garbage collector.
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
    return reader


def _content(place: str) -> bytes:
    try:
        with open(place, "rb") as file:  # noqa: PTH123 - a Path for each of 11,540 files costs time
            content = file.read(LARGEST_XML + 1)
    except FileNotFoundError as error:
        raise VocXmlError(Problem(place, "this annotation file does not exist")) from error
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise VocXmlError(Problem(place, f"this annotation file cannot be read: {reason}")) from error
    if not content:
        raise VocXmlError(Problem(place, "this annotation file is empty (0 bytes): unpack it again"))
    if len(content) > LARGEST_XML:
        what = (
            f"has more than {LARGEST_XML // 2**20} MB; the annotations of an image have a few kB: this is no such file"
        )
        raise VocXmlError(Problem(place, what))
    # Looked for before the parser runs: once it has met an entity, a few hundred bytes may become gigabytes. Without
    # the zeros of UTF-16 this is the one spelling, in every encoding that expat knows.
    start = content.replace(b"\0", b"").find(b"<!DOCTYPE")
    if start >= 0:
        line = content.replace(b"\0", b"").count(b"\n", 0, start) + 1
        what = "holds a document type (<!DOCTYPE), which annotations never do and which is not safe to read: remove it"
        raise VocXmlError(Problem(f"{place}, line {line}", what))
    return content


class DocumentReader:
    """Keeps what is wanted while expat goes through a file; no tree, so that depth and size cost nothing.

    Args:
        parser: Goes through the file.
    """

    __slots__ = ("_depth", "_difficult", "_in_object", "_name", "_parser", "_text", "filename", "objects")

    def __init__(self, parser: expat.XMLParserType) -> None:
        self.filename: str | None = None
        self.objects: list[VocObject] = []
        self._parser = parser
        self._depth = 0
        self._in_object = False
        self._name: str | None = None
        self._difficult = False
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        self._depth += 1
        self._parser.CharacterDataHandler = None  # the text of an element ends where a child begins
        if self._depth == 3 and self._in_object:
            if tag in {"name", "difficult"}:
                self._listen()
        elif self._depth == 2:
            self._in_object, self._name, self._difficult = tag == "object", None, False
            if tag == "filename":
                self._listen()
        elif self._depth == 1 and tag != "annotation":
            self._refuse(f"the first element is <{tag[:40]}>; that of VOC annotations is <annotation>")

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        self._parser.CharacterDataHandler = None
        if self._depth == 3 and self._in_object:
            if tag == "name":
                self._end_of_name()
            elif tag == "difficult":
                self._end_of_difficult()
        elif self._depth == 2:
            if tag == "object":
                self._end_of_object()
            elif tag == "filename" and self.filename is None:
                self.filename = "".join(self._text).strip()
        self._depth -= 1

    def _refuse(self, what: str) -> NoReturn:
        # The line now: some versions of the parser run on to the end before the error arrives.
        raise _RefusedError(self._parser.CurrentLineNumber, what)

    def _listen(self) -> None:
        self._text = []
        self._parser.CharacterDataHandler = self._text.append

    def _end_of_name(self) -> None:
        if self._name is not None:
            self._refuse(f"object {len(self.objects) + 1} has two names: keep one")
        self._name = " ".join("".join(self._text).split())
        if len(self._name) > _LONGEST_NAME:
            self._refuse(f"object {len(self.objects) + 1} has a name of {len(self._name)} characters")

    def _end_of_difficult(self) -> None:
        mark = "".join(self._text).strip()
        difficult = _MARKS.get(mark.lower())
        if difficult is None:
            self._refuse(f"object {len(self.objects) + 1} has the mark difficult={shortened(mark)}: write 0 or 1")
        self._difficult = difficult

    def _end_of_object(self) -> None:
        if not self._name:
            self._refuse(f"object {len(self.objects) + 1} ends here without a name: add <name>")
        self.objects.append(VocObject(self._name, self._difficult))
