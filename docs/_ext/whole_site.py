"""Looks at the site when it is built: every link of a page leads somewhere, and no page loads anything from elsewhere.

Sphinx itself checks the links that it resolves. What themes, raw HTML, pictures and downloads put into a page it does
not see; here the written files are read. Links to other sites that a reader may follow are fine.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Elements that a browser loads by itself, and where the address stands; what <a> names is loaded only by a click.
LOADED = {
    **dict.fromkeys(("script", "img", "iframe", "source", "video"), "src"),
    **dict.fromkeys(("link", "image"), "href"),
}
_REMOTE_IN_CSS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")
_LOGGER = logging.getLogger(__name__)
_NOT_FILES = {"data", "mailto", "javascript"}


class Page(HTMLParser):
    """The addresses of a page and the places in it that others may point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.addresses: list[tuple[str, str, int]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        address = values.get(LOADED.get(tag, "href"))
        if address and (tag in LOADED or tag == "a"):
            self.addresses.append((tag, address, self.getpos()[0]))


def site_faults(folder: Path) -> list[str]:
    """Every link that leads nowhere and everything that is loaded from another place.

    Args:
        folder: The built site.

    Returns:
        A line for each, with page and line; empty where all is well.
    """
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    faults = []
    for path, page in pages.items():
        for tag, address, line in page.addresses:
            fault = _fault(tag, address, path, pages, folder)
            if fault:
                faults.append(f"{path.relative_to(folder)}, line {line}: <{tag}> {address}: {fault}")
    for path in sorted(folder.rglob("*.css")):
        found = _REMOTE_IN_CSS.findall(path.read_text(encoding="utf-8"))
        faults += [f"{path.relative_to(folder)}: {address}: loaded from another place" for address in found]
    return faults


def _fault(tag: str, address: str, path: Path, pages: dict[Path, Page], folder: Path) -> str:
    parts = urlsplit(address)
    if parts.scheme in _NOT_FILES:
        return ""
    if parts.scheme or parts.netloc:
        return "" if tag == "a" else "loaded from another place"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(folder.resolve()):
        return "lies outside the site"
    if not target.exists():
        return "no such file"
    there = pages.get(folder / target.relative_to(folder.resolve()))
    if parts.fragment and there and unquote(parts.fragment) not in there.places | {"top"}:
        return f"{target.name} has no place {parts.fragment}"
    return ""


def look(app: Sphinx, exception: Exception | None) -> None:
    """Warn of what is wrong, which ends a build with ``-W`` as a failed one."""
    if exception is None and app.builder.format == "html":
        for fault in site_faults(Path(app.outdir)):
            _LOGGER.warning("in the built site: %s", fault)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", look)
    return {"parallel_read_safe": True}
