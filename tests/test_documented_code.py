"""The code blocks of every page are run: page by page, in order, in one namespace and one temporary folder.

Python blocks are executed, ``nctools`` lines go through the command line in this process. What is run in a shortened
form or not at all says so in a comment above the block (``tests/documented_pages.py``); what a page takes as given, the
reader's model, features and files, is made by ``tests/documented_givens.py``. Lines of other programs are not run; the
table ``NOT_RUN`` names them, so that a new one has to be thought about. Commands and flags of blocks that are not run
are checked in ``tests/test_documented_commands.py``.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nctools.cli.app import main
from tests.documented_givens import SmallRuns, given_for
from tests.documented_pages import PAGES, SHELL, Block, code_blocks, name_of, shell_lines

NOT_RUN = {
    "make": "its targets are stages of .ci/run",
    "git": "needs a network",
    "cd": "goes with git",
    "pip": "needs a network",
    "torchrun": "starts processes: tests/features/test_ranks.py, tests/training/test_processes.py",
    "tensorboard": "a server",
    "jupyter": "a server",
}


@dataclass
class Reader:
    """Somebody who types a page from top to bottom."""

    page: str
    namespace: dict[str, object] = field(default_factory=dict)

    def read(self, block: Block) -> None:
        """Run one block."""
        if block.language == "python":
            # Empty lines before the code make the traceback show the line of the page.
            exec(compile("\n" * (block.line - 1) + block.text, self.page, "exec"), self.namespace)
            return
        for words in shell_lines(block):
            self.type(words, block)

    def type(self, words: list[str], block: Block) -> None:
        """Run one line of a shell."""
        if words[0] != "nctools":
            assert words[0] in NOT_RUN, f"{self.page}, block of line {block.line}: {' '.join(words)} is not run"
            return
        end = next((place for place, word in enumerate(words) if word in {"|", ">", "&&"}), len(words))
        code, told = run_command(words[1:end])
        assert code == 0, f"{self.page}, block of line {block.line}: {' '.join(words)} ended with {code}:\n{told}"
        if words[end : end + 1] == [">"]:
            Path(words[end + 1]).write_text(told, encoding="utf-8")


def run_command(words: list[str]) -> tuple[int, str]:
    """Exit code of a command line, and all that it said."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.setattr(sys, "argv", ["nctools", *words])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
    return 0, said.getvalue()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SmallRuns:
    return SmallRuns(tmp_path_factory.mktemp("documented"))


def blocks_of(page: Path) -> list[Block]:
    return [block for block in code_blocks(page.read_text(encoding="utf-8"), "python", *SHELL) if not block.skipped]


def read_page(page: Path, patch: pytest.MonkeyPatch, folder: Path, runs: SmallRuns, *, everything: bool) -> None:
    patch.chdir(folder)
    patch.syspath_prepend(folder)
    with warnings.catch_warnings():
        # Pages show what nctools warns of; what libraries are about to drop stays an error.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        reader = Reader(name_of(page), given_for(name_of(page), runs, everything=everything))
        for block in blocks_of(page):
            if everything or not block.slow:
                reader.read(block)


QUICK = [page for page in PAGES if any(not block.slow for block in blocks_of(page))]
SLOW = [page for page in PAGES if any(block.slow for block in blocks_of(page))]


@pytest.mark.parametrize("page", QUICK, ids=name_of)
def test_documented_code_runs(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runs: SmallRuns) -> None:
    read_page(page, monkeypatch, tmp_path, runs, everything=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=name_of)
def test_all_documented_code_runs(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runs: SmallRuns) -> None:
    read_page(page, monkeypatch, tmp_path, runs, everything=True)


def test_a_command_that_fails_is_told_with_page_and_line() -> None:
    block = Block("sh", "nctools explain nc9\n", 12)
    with pytest.raises(AssertionError, match=r"page\.md, block of line 12: nctools explain nc9 ended with 2"):
        Reader("page.md").read(block)


def test_a_line_that_nothing_is_known_of_is_told() -> None:
    with pytest.raises(AssertionError, match=r"block of line 3: rm -r runs is not run"):
        Reader("page.md").read(Block("sh", "rm -r runs\n", 3))


def test_python_that_fails_shows_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Reader("page.md").read(Block("python", "one = 1\none / 0\n", 40))
    assert caught.traceback[-1].lineno == 40  # counted from 0
