"""What the documentation tells people to type exists: commands, flags, and public names in Python examples."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.documented_pages import PAGES, code_blocks, name_of, nctools_lines
from tests.test_import_directions import public_names, study_violations

Command = tuple[str, ...]


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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_documented_commands_exist(page: Path) -> None:
    flags = known_flags()
    lines = nctools_lines(page.read_text(encoding="utf-8"))
    faults = [fault for words in lines for fault in command_faults(words, flags)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_documented_python_uses_public_names(page: Path) -> None:
    public = public_names()
    for block in code_blocks(page.read_text(encoding="utf-8"), "python"):
        ast.parse(block.text)
        assert not study_violations(page.name, block.text, public)


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
