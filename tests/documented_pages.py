"""Pages of Markdown and their code blocks, with what a comment above a block says about running it.

A comment on the lines above a block belongs to the test::

    <!-- test: skip, the photographs of VOC are nobody's to ship -->
    <!-- test: slow -->
    <!-- test: "--out runs/long" becomes "--out runs/long --epochs 1" -->

``skip`` leaves the block to the tests that only read it, ``slow`` to ``make test-all``. The third form may stand
several times; what it names has to be in the block.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(path for folder in ("docs", "examples", "analysis") for path in (ROOT / folder).rglob("*.md")),
    ]
    if not {"_generated", "_build"} & set(path.relative_to(ROOT).parts)
)
SHELL = ("sh", "bash", "console")
_BLOCK = re.compile(
    r"(?P<comments>(?:^[ ]*<!-- test: [^\n]*-->\n)*)"
    r"^(?P<indent>[ ]*)```(?P<language>[a-z]+)\n(?P<text>.*?)^[ ]*```$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"<!-- test: (.*?) -->")
_STARTERS = {"nctools", "srun", "torchrun", "python"}
_CHANGE = re.compile(r'"(.*)" becomes "(.*)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text as it is run, the line it begins in."""

    language: str
    text: str
    line: int
    skipped: str = ""
    slow: bool = False


def name_of(page: Path) -> str:
    """The page as the ids of tests name it: its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def code_blocks(text: str, *languages: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order; of all languages where none is named."""
    for match in _BLOCK.finditer(text):
        if not languages or match["language"] in languages:
            # The first line of the code, counted from 1.
            line = text[: match.start("text")].count("\n") + 1
            body = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
            yield _marked(Block(match["language"], body, line), _COMMENT.findall(match["comments"]))


def _marked(block: Block, comments: list[str]) -> Block:
    text, skipped, slow = block.text, "", False
    for comment in comments:
        change = _CHANGE.fullmatch(comment)
        reason = comment.removeprefix("skip, ")
        if change and change[1] in text:
            text = text.replace(change[1], change[2])
        elif comment == "slow":
            slow = True
        elif reason != comment:
            skipped = reason
        else:
            raise ValueError(f"line {block.line}: {comment!r} above the block is none of skip, slow, or a change of it")
    return Block(block.language, text, block.line, skipped, slow)


def shell_lines(block: Block) -> Iterator[list[str]]:
    """Words of each line of a shell block, without prompt and comment; a ``\\`` joins lines."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            yield words


def nctools_lines(text: str) -> Iterator[list[str]]:
    """Arguments of each ``nctools ...`` line of a page, without pipe and redirection; blocks that are not run, too."""
    for block in code_blocks(text, *SHELL, "text"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.strip().removeprefix("$ "), comments=True) if "nctools" in line else []
            if "nctools" in words and words[0] in _STARTERS:
                words = words[words.index("nctools") :]
                end = next((place for place, word in enumerate(words) if word in {"|", ">", "&&"}), len(words))
                yield words[1:end]
