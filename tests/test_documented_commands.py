"""What the documentation tells people to type exists: commands, flags, and public names in Python examples."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_import_directions import public_names, study_violations

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    if not {"_generated", "_build"} & set(path.relative_to(ROOT).parts)
)
Command = tuple[str, ...]


def code_blocks(text: str, language: str) -> Iterator[str]:
    """The fenced blocks of a Markdown page in one language."""
    for match in re.finditer(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
        yield match[1]


def shell_lines(text: str) -> Iterator[list[str]]:
    """Words of each ``nctools ...`` line in the shell blocks of a page, without prompt, comment and pipe."""
    for language in ("sh", "console", "text"):
        for block in code_blocks(text, language):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True) if "nctools" in line else []
                if words[:1] == ["nctools"]:
                    end = next((place for place, word in enumerate(words) if word in {"|", ">", "&&"}), len(words))
                    yield words[1:end]


def known_flags() -> dict[Command, set[str]]:
    """The flags of each command, by its words; a group of commands has an entry of its own."""
    import typer.main

    from nctools.cli.app import app

    flags: dict[Command, set[str]] = {}
    waiting: list[tuple[Command, object]] = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        options = [option for parameter in getattr(command, "params", []) for option in parameter.opts]
        flags[words] = {option for option in options if option.startswith("-")} | {"--help"}
        waiting += [((*words, name), child) for name, child in getattr(command, "commands", {}).items()]
    return flags


def command_faults(words: list[str], flags: dict[Command, set[str]]) -> list[str]:
    """What a documented line says that the command line does not know."""
    found: Command = ()
    while len(found) < len(words) and (*found, words[len(found)]) in flags:
        found = (*found, words[len(found)])
    given = [word.partition("=")[0] for word in words[len(found) :] if re.match(r"--?[a-z]", word)]
    faults = [f"no flag {flag}" for flag in given if flag not in flags[found]]
    is_group = any(command[: len(found)] == found and len(command) > len(found) for command in flags)
    if is_group and words[len(found) :] and not given:
        faults.append(f"no command {words[len(found)]}")
    return [f"nctools {' '.join(words)}: {fault}" for fault in faults]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_commands_exist(page: Path) -> None:
    flags = known_flags()
    lines = shell_lines(page.read_text(encoding="utf-8"))
    faults = [fault for words in lines for fault in command_faults(words, flags)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_python_uses_public_names(page: Path) -> None:
    public = public_names()
    for block in code_blocks(page.read_text(encoding="utf-8"), "python"):
        ast.parse(block)
        assert not study_violations(page.name, block, public)


def test_made_up_commands_and_flags_are_found() -> None:
    flags: dict[Command, set[str]] = {
        (): {"--help"},
        ("train",): {"--set"},
        ("data",): set(),
        ("data", "list"): {"--json"},
    }
    assert command_faults(["train", "mlc_nc", "--set", "a=1"], flags) == []
    assert command_faults(["data", "list", "--json", "-"], flags) == []
    assert command_faults(["--help"], flags) == []
    assert command_faults(["train", "--sett", "a=1"], flags) == ["nctools train --sett a=1: no flag --sett"]
    assert command_faults(["trian", "mlc_nc"], flags) == ["nctools trian mlc_nc: no command trian"]
    assert command_faults(["data", "lst"], flags) == ["nctools data lst: no command lst"]


def test_shell_lines_are_found_in_a_page() -> None:
    page = (
        "words\n\n```sh\n$ nctools train a \\\n  --set b=1  # comment\nnctools measure x > table.txt\nmake test\n```\n"
    )
    assert list(shell_lines(page)) == [["train", "a", "--set", "b=1"], ["measure", "x"]]
