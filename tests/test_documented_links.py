"""Links between the pages of the repository lead somewhere; the check of the built site finds what is wrong."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.documented_pages import PAGES, ROOT, name_of

_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def places(page: Path) -> set[str]:
    """The anchors that headings of a page make, on GitHub and on the site."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


def anchor_exists(anchor: str, page: Path) -> bool:
    """Whether a page has that heading; of pages with generated parts the built site tells."""
    return "_generated" in page.read_text(encoding="utf-8") or anchor in places(page)


def link_faults(page: Path) -> Iterator[str]:
    """Relative links of a page without a target."""
    for link in _LINK.findall(prose(page)):
        # What is generated exists after `make docs` alone, which follows every link of the built site.
        if re.match(r"[a-z]+:", link) or "_generated/" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and not anchor_exists(anchor, target):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    assert list(link_faults(page)) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# One `name`, two\n")
    page.write_text(
        "[a](other.md) [b](other.md#one-name-two) [c](nothere.md) ![d](no.png) [e](other.md#three)\n"
        "[f](https://example.org) `[g](code.md)`\n\n```text\n[h](block.md)\n```\n"
    )
    assert list(link_faults(page)) == [
        "nothere.md: no such file", "no.png: no such file", "other.md#three: no such heading",
    ]  # fmt: skip


@pytest.fixture
def whole_site(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The extension that looks at the built site; what it needs of Sphinx may not be installed."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("whole_site", ROOT / "docs" / "_ext" / "whole_site.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_whole_site_has_no_faults(whole_site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a picture.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        '<a href="sub/page.html#here">1</a> <a href="#top">2</a> <a href="https://example.org">3</a>'
        '<img src="a%20picture.png"><img src="data:image/png;base64,AA=="><a href="sub/page.html?x=1">4</a>'
    )
    (tmp_path / "sub" / "page.html").write_text('<p id="here"></p><a href="../index.html">1</a><a href="..">2</a>')
    assert whole_site.site_faults(tmp_path) == []


def test_faults_of_a_site_are_told_with_page_and_line(whole_site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="nothere.html">1</a>\n<a href="#nowhere">2</a>\n<img src="no.png">\n'
        '<script src="https://example.org/x.js"></script>\n<link href="//example.org/x.css">\n'
        '<a href="../out.html">3</a>'
    )
    (tmp_path / "look.css").write_text(
        "@import 'https://example.org/fonts.css'; p { background: url(//example.org/p) }"
    )
    assert whole_site.site_faults(tmp_path) == [
        "index.html, line 1: <a> nothere.html: no such file",
        "index.html, line 2: <a> #nowhere: index.html has no place nowhere",
        "index.html, line 3: <img> no.png: no such file",
        "index.html, line 4: <script> https://example.org/x.js: loaded from another place",
        "index.html, line 5: <link> //example.org/x.css: loaded from another place",
        "index.html, line 6: <a> ../out.html: lies outside the site",
        "look.css: https://example.org/fonts.css: loaded from another place",
        "look.css: //example.org/p: loaded from another place",
    ]
