"""A small checker of HTML5: elements closed in order, attributes and ids once, text alternatives, labels that exist."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import pairwise

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Element -> parents that it may stand in.
PARENTS = {
    "li": {"ul", "ol"},
    "dt": {"dl", "div"},
    "dd": {"dl", "div"},
    "tr": {"thead", "tbody", "tfoot"},
    "td": {"tr"},
    "th": {"tr"},
    "caption": {"table"},
    "thead": {"table"},
    "tbody": {"table"},
    "tfoot": {"table"},
    "figcaption": {"figure"},
    "summary": {"details"},
    "title": {"head"},
}
BLOCKS = {"div", "p", "ul", "ol", "dl", "table", "section", "figure", "h1", "h2", "h3", "pre", "details", "nav", "main"}
REFERENCES = ("aria-labelledby", "aria-describedby", "aria-controls", "for")


class PageReader(HTMLParser):
    """Reads a page and collects what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"line {line}: <{tag}> has an attribute twice")
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        parent = self.open[-1] if self.open else ""
        if tag in PARENTS and parent not in PARENTS[tag]:
            self.faults.append(f"line {line}: <{tag}> in <{parent}>")
        if tag in BLOCKS and "p" in self.open:
            self.faults.append(f"line {line}: <{tag}> inside <p>")
        if tag == "img" and ("alt" not in given or "src" not in given):
            self.faults.append(f"line {line}: <img> without alt or src")
        if "id" in given:
            self.ids.append(given["id"])
        self.wanted += [key for name in REFERENCES for key in given.get(name, "").split()]
        if given.get("href", "").startswith("#"):
            self.wanted.append(given["href"][1:])
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(
                f"line {self.getpos()[0]}: </{tag}> closes <{self.open[-1] if self.open else 'nothing'}>"
            )
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.texts).append(data)


def read_page(page: str) -> PageReader:
    """Read a page and check it."""
    reader = PageReader()
    reader.feed(page)
    reader.close()
    if not page.lower().startswith("<!doctype html>"):
        reader.faults.append("the page does not begin with <!DOCTYPE html>")
    reader.faults += [f"<{tag}> is not closed" for tag in reader.open]
    reader.faults += [
        f"id {key!r} stands {reader.ids.count(key)} times"
        for key in sorted(set(reader.ids))
        if reader.ids.count(key) > 1
    ]
    reader.faults += [f"nothing has the id {key!r}" for key in sorted(set(reader.wanted) - set(reader.ids))]
    levels = [0, *reader.headings]
    reader.faults += [f"h{low} follows h{high}" for high, low in pairwise(levels) if low > high + 1]
    if reader.headings.count(1) != 1:
        reader.faults.append(f"{reader.headings.count(1)} headings of the first level")
    return reader
