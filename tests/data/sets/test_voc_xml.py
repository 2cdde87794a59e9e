"""An annotation file gives the classes of its objects; one that is damaged or hostile gives a line and a reason."""

from __future__ import annotations

import pickle
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nctools.data.own.voc_files import read_voc_folder
from nctools.data.sets import voc_xml
from nctools.data.sets.voc import voc_annotations
from nctools.data.sets.voc_xml import VocObject, VocXmlError, read_voc_document
from nctools.errors import DatasetError
from tests.data.voc_tree import VocImage, annotation

GOOD = annotation(VocImage("2008_000023", ("dog", "person", "train"), frozenset({"train"})))


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "a.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def with_object(inside: str) -> str:
    return f"<annotation>\n<object>\n{inside}\n</object>\n</annotation>"


def test_objects_and_file_name_are_read_and_parts_are_not(tmp_path: Path) -> None:
    document = read_voc_document(write(tmp_path, GOOD))
    assert document.filename == "2008_000023.jpg"
    assert document.objects == [
        *(VocObject("dog"), VocObject("person"), VocObject("person", difficult=True)),
        VocObject("train", difficult=True),
    ]
    assert GOOD.count("<name>") == 10


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("<annotation/>", []),
        ("<annotation><part><object><name>head</name></object></part></annotation>", []),
        ("<annotation><name>whole</name><objects><object><name>x</name></object></objects></annotation>", []),
        (with_object("<part><name>head</name></part><name> dog\n </name>"), ["dog"]),
        (with_object("<name>traffic\n\tlight</name>"), ["traffic light"]),
        (with_object("<name><!-- no -->d<![CDATA[o]]>g</name>"), ["dog"]),
        (with_object("<name>dog<part>head</part>fish</name>"), ["dog"]),
        (with_object("<name>salt &amp; pepper</name>"), ["salt & pepper"]),
        (
            b'<?xml version="1.0" encoding="ISO-8859-1"?>' + with_object("<name>K\xe4fer</name>").encode("latin1"),
            ["Käfer"],
        ),
        (
            b'<?xml version="1.0" encoding="cp1251"?>' + with_object("<name>кот</name>").encode("cp1251"),
            ["кот"],
        ),
        (with_object("<name>猫</name>").encode("utf-8-sig"), ["猫"]),
        (with_object("<name>猫</name>").encode("utf-16"), ["猫"]),
    ],
)
def test_forms_of_the_same_thing(content: str | bytes, names: list[str], tmp_path: Path) -> None:
    assert [found.name for found in read_voc_document(write(tmp_path, content)).objects] == names


@pytest.mark.parametrize(
    ("mark", "difficult"),
    [("0", False), ("1", True), (" 1\n", True), ("", False), ("True", True), ("Unspecified", False)],
)
def test_marks_of_difficult_objects(mark: str, difficult: bool, tmp_path: Path) -> None:
    path = write(tmp_path, with_object(f"<name>dog</name><difficult>{mark}</difficult>"))
    assert read_voc_document(path).objects == [VocObject("dog", difficult)]


def laughs() -> str:
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 30))
    return f'<!DOCTYPE annotation [<!ENTITY e0 "ha">{entities}]>' + with_object("<name>&e29;</name>")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.xml: this annotation file is empty \(0 bytes\)"),
        (laughs(), r"a\.xml, line 1: holds a document type"),
        (laughs().encode("utf-16-le"), r"a\.xml, line 1: holds a document type"),
        ("\n\n" + '<!DOCTYPE annotation SYSTEM "http://localhost/a.dtd">' + GOOD, r"a\.xml, line 3: holds a document"),
        (GOOD[:300], r"a\.xml, line 1\d: is not well-formed XML \(.*\): mend the file, or unpack it again"),
        (GOOD.replace("<pose>", "<pose"), r"line 17: is not well-formed XML"),
        (GOOD + "<more/>", "junk after document element"),
        (with_object("<name>&nbsp;</name>"), r"line 3: is not well-formed XML \(undefined entity\)"),
        (with_object("<name>d\0g</name>"), "line 3: is not well-formed XML"),
        ("<?xml version='1.0' encoding='gbk'?>" + GOOD, "line 1: .*: save the file as UTF-8"),
        ("<?xml version='1.0' encoding='no-such-code'?>" + GOOD, "line 1: .*: save the file as UTF-8"),
        ("<?xml version='1.0' encoding='rot13'?>" + GOOD, "line 1: .*: save the file as UTF-8"),
        ("\n<svg><object><name>dog</name></object></svg>", r"line 2: the first element is <svg>; .* is <annotation>"),
        (with_object(""), "line 4: object 1 ends here without a name: add <name>"),
        (with_object("<name> </name>"), "line 4: object 1 ends here without a name: add <name>"),
        (with_object("<name>dog</name>\n<name>cat</name>"), "line 4: object 1 has two names: keep one"),
        (with_object(f"<name>{'x' * 201}</name>"), "line 3: object 1 has a name of 201 characters"),
        (with_object("<name>x</name><difficult>2</difficult>"), "object 1 has the mark difficult='2': write 0 or 1"),
    ],
)
def test_damaged_and_hostile_files_are_refused_with_their_line(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(VocXmlError, match=message) as caught:
        read_voc_document(write(tmp_path, content))
    assert str(caught.value) == str(caught.value.problem)
    assert caught.value.problem.place.startswith(str(tmp_path / "a.xml"))


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"b\.xml: this annotation file does not exist"):
        read_voc_document(tmp_path / "b.xml")
    with pytest.raises(DatasetError, match="this annotation file cannot be read: "):
        read_voc_document(tmp_path)
    with pytest.raises(DatasetError, match=r"this annotation file cannot be read: .*null"):
        read_voc_document("a\0.xml")


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc_xml, "LARGEST_XML", 2**20)
    path = write(tmp_path, GOOD + " " * (2**20 - len(GOOD)))
    assert len(read_voc_document(path).objects) == 4
    with path.open("a") as file:
        file.write(" ")
    with pytest.raises(DatasetError, match="has more than 1 MB; the annotations of an image have a few kB"):
        read_voc_document(path)


def test_depth_and_length_cost_nothing(tmp_path: Path) -> None:
    deep = with_object("<name>dog</name>" + "<a>" * 100_000 + "</a>" * 100_000)
    wide = with_object(f'<name>dog</name><a b="{"x" * 5_000_000}"/>')
    start = time.process_time()
    for content in (deep, wide, deep[:200_000]):
        path = write(tmp_path, content)
        if content is deep or content is wide:
            assert read_voc_document(path).objects == [VocObject("dog")]
        else:
            with pytest.raises(VocXmlError, match="not well-formed"):
                read_voc_document(path)
    assert time.process_time() - start < 2


def test_the_error_can_be_sent_between_processes(tmp_path: Path) -> None:
    with pytest.raises(VocXmlError) as caught:
        read_voc_document(write(tmp_path, "<annotation>"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problem) == (str(caught.value), caught.value.problem)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.booleans()), max_size=5))
def test_whatever_elementtree_writes_is_read(objects: list[tuple[str, bool]]) -> None:
    # A class name is trimmed; letters that XML cannot hold are left out.
    cleaned = [
        (" ".join("".join(c for c in name if c.isprintable()).split())[:200].strip(), hard) for name, hard in objects
    ]
    root = ElementTree.Element("annotation")
    for name, hard in cleaned:
        element = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(element, "name").text = name
        ElementTree.SubElement(element, "difficult").text = str(int(hard))
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), ElementTree.tostring(root))
        if all(name for name, _ in cleaned):
            assert read_voc_document(path).objects == [VocObject(*one) for one in cleaned]
        else:
            with pytest.raises(VocXmlError, match="without a name"):
                read_voc_document(path)


def flipped(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 3, 30))):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


def cut(content: bytes, generator: random.Random) -> bytes:
    start, end = sorted(generator.sample(range(len(content)), 2))
    return generator.choice((content[:end], content[start:], content[:start] + content[end:]))


def doubled(content: bytes, generator: random.Random) -> bytes:
    tag = generator.choice((b"<object>", b"</object>", b"<name>", b"</name>", b"<difficult>", b"</annotation>"))
    at = content.find(tag, generator.randrange(len(content)))
    return content[: max(at, 0)] + tag + content[max(at, 0) :]


def inserted(content: bytes, generator: random.Random) -> bytes:
    at = generator.choice([place for place in range(len(content)) if content[place : place + 1] in {b"<", b">"}])
    odd = (b"\0", b"&x;", b"&#0;", b"&#xD800;", b"<![CDATA[", b"<!--", b"<?php ?>", b"<!ENTITY a 'b'>", b"\xff\xfe")
    return content[:at] + generator.choice(odd) + content[at:]


def encoded(content: bytes, generator: random.Random) -> bytes:
    text = content.decode()
    if generator.random() < 0.5:
        return text.encode(generator.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp037")))
    name = generator.choice(("utf-7", "gbk", "zip", "hex", "idna", "punycode", "mbcs", "undefined", "utf_16", "cp1252"))
    return f'<?xml version="1.0" encoding="{name}"?>'.encode() + content


def entities(content: bytes, generator: random.Random) -> bytes:
    return laughs().encode() if generator.random() < 0.5 else b"<!DOCTYPE a SYSTEM 'file:///etc/hostname'>" + content


def deep_or_long(content: bytes, generator: random.Random) -> bytes:
    size = 20_000
    what = (
        b"<object>" * size,
        b"<a>" * size + b"</a>" * size,
        b"<a b='" + b"x" * size + b"'/>",
        b"<a " + b"b='' " * 99,
    )
    return content.replace(b"</size>", b"</size>" + generator.choice(what), 1)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flipped, flipped, cut, doubled, inserted, encoded, entities),
    deep_or_long,
)


def reference(content: bytes) -> list[str]:
    # The objects as a tree has them. Only called for what was read, so never on entities.
    return [
        " ".join((found.findtext("name") or "").split()) for found in ElementTree.fromstring(content).findall("object")
    ]


def test_300_mutated_files_are_read_rightly_or_become_problems(tmp_path: Path) -> None:
    generator = random.Random(0)
    contents = {}
    for index in range(300):
        mutate = MUTATIONS[index % len(MUTATIONS)]
        contents[f"{index:06d}"] = mutate(GOOD.encode(), generator)
    year = tmp_path / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (year / name).mkdir(parents=True)
    for name, content in contents.items():
        (year / "Annotations" / f"{name}.xml").write_bytes(content)
        (year / "JPEGImages" / f"{name}.jpg").touch()
    (year / "ImageSets" / "Main" / "test.txt").write_text("\n".join(contents))
    start = time.process_time()
    read = 0
    for name, content in contents.items():
        try:
            objects = read_voc_document(year / "Annotations" / f"{name}.xml").objects
        except VocXmlError:
            continue
        read += 1
        assert [one.name for one in objects] == reference(content), name
    assert 30 < read < 200
    published = voc_annotations(tmp_path, "2007", "test")
    own, _ = read_voc_folder(year)
    assert time.process_time() - start < 5
    assert len(published) == len(own) == 300
    unread = [problem for problem in published.problems if "none of the 20 classes" not in problem.what]
    assert len(unread) == 300 - read
    assert [problem for problem in own.problems if "its image" not in problem.what] == unread
