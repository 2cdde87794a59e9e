"""The notebooks in ``examples/`` are tidy and run; run as a module, this executes them and writes their outputs."""

from __future__ import annotations

import ast
import re
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import nbformat
import pytest
from nbclient import NotebookClient

from tests.documented_pages import nctools_lines
from tests.test_documented_commands import command_faults, known_flags
from tests.test_import_directions import notebook_source, public_names, study_violations

PAGE: Final = Path(__file__).parents[1] / "docs" / "notebooks.md"
FOLDER: Final = Path(__file__).parents[1] / "examples"
NOTEBOOKS: Final = sorted(FOLDER.glob("*.ipynb"))
LARGEST: Final = 600_000  # bytes
LONGEST: Final = 120.0  # seconds of the processor
METADATA: Final = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# A folder of somebody's machine, or where an object happened to lie in memory.
_OF_ONE_MACHINE: Final = re.compile(r"(?<![\w<./])/[\w.-]+/[\w.]|\b[A-Z]:\\|\b0x[0-9a-f]{6,}")
Notebook = Any  # nbformat's nodes are dictionaries with attributes, without types


def code_cells(notebook: Notebook) -> Iterator[tuple[int, Notebook]]:
    """Number, from 1, and code cell."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    yield from enumerate(cells, start=1)


def shows_something(source: str) -> bool:
    """Whether a cell prints, draws, or ends with a value, as far as its text tells."""
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    statements = ast.parse(code).body
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}
    ends_with_value = bool(statements) and isinstance(statements[-1], ast.Expr) and not code.rstrip().endswith(";")
    return ends_with_value or bool(calls & {"print", "display", "plt.subplots", "plt.figure"})


def output_texts(output: Notebook) -> list[str]:
    """What an output says, pictures aside."""
    if output.output_type == "stream":
        return [output.text]
    data = output.get("data", {})
    return [text for kind, text in data.items() if kind.startswith("text/")]


def output_faults(cell: Notebook) -> list[str]:
    """What is wrong with the outputs of a code cell."""
    faults = [] if cell.outputs or not shows_something(cell.source) else ["shows something but has no output"]
    for output in cell.outputs:
        if output.output_type == "error":
            faults.append(f"ended with an error, {output.ename}: {output.evalue}")
        if output.get("name") == "stderr":
            faults.append(f"wrote to stderr: {output.text.strip()[:80]}")
        found = [hit[0] for text in output_texts(output) for hit in _OF_ONE_MACHINE.finditer(text)]
        faults += [f"shows something of one machine: {text}" for text in found]
    return faults


def private_names(source: str) -> list[str]:
    """Names behind ``nctools.`` that the package does not offer."""
    public = public_names()["nctools"]
    used = [
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nctools"
    ]
    return [name for name in used if name not in public]


def normalised(notebook: Notebook) -> Notebook:
    """The notebook without anything that differs from one execution to the next, as far as it does not matter."""
    tidy = deepcopy(notebook)
    tidy.metadata = nbformat.from_dict(METADATA)
    for number, cell in code_cells(tidy):
        cell.metadata, cell.execution_count = nbformat.from_dict({}), number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return tidy


def text_of(notebook: Notebook) -> str:
    """What stands in the file."""
    return f"{nbformat.writes(notebook, version=4).rstrip()}\n"


def executed(notebook: Notebook, folder: Path) -> Notebook:
    """A copy, run from top to bottom in a fresh kernel inside ``folder``."""
    fresh = deepcopy(notebook)
    client = NotebookClient(
        fresh,
        timeout=2 * LONGEST,  # a cell, on a machine that does other work beside it
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    return fresh


def seconds_of_kernels() -> float:
    """Processor time of the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kinds_of_outputs(notebook: Notebook) -> list[list[str]]:
    """For each code cell, what kinds of outputs it has: ``stdout``, ``image/png``, ``text/html``, ..."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data") or [output.get("name", "error")]})
        for _, cell in code_cells(notebook)
    ]


def read(path: Path) -> Notebook:
    """A notebook from its file."""
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks_and_the_page_names_them() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert NOTEBOOKS
    assert [path.name for path in NOTEBOOKS if f"[`{path.name}`]({path.name})" not in page] == []


def test_page_of_the_documentation_lists_them_all_in_order() -> None:
    listed = re.findall(r"^(\d+)\. \[.+?\]\(_generated/(\S+?)\)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(str(number), path.name) for number, path in enumerate(NOTEBOOKS, start=1)]


def test_commands_in_the_texts_exist_and_draw_runs() -> None:
    import typer.main

    from nctools.cli.app import app

    flags, drawn = known_flags(), []
    texts = [cell.source for path in NOTEBOOKS for cell in read(path).cells if cell.cell_type == "markdown"]
    for words in (words for text in texts for words in nctools_lines(text)):
        assert command_faults(words, flags) == []
        if words[0] == "plot":
            command = cast("Any", typer.main.get_command(app)).commands["plot"].commands[words[1]]
            drawn += command.make_context(words[1], words[2:], resilient_parsing=True).params["inputs"]
    # What stands behind a flag that takes no value would be one more run.
    assert drawn
    assert [str(path) for path in drawn if not str(path).startswith("runs/")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_file_is_a_valid_small_notebook_without_traces_of_an_execution(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST
    assert path.read_text(encoding="utf-8") == text_of(normalised(notebook)), f"run python -m {__name__} {path.stem}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_cell_has_clean_outputs_and_a_reason_before_it(path: Path) -> None:
    notebook = read(path)
    faults = [f"cell {number} {fault}" for number, cell in code_cells(notebook) for fault in output_faults(cell)]
    assert not faults, "\n".join(faults)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == kinds[-1] == "markdown"
    # Formulas are plain text: the documentation loads nothing that could set them.
    assert not [cell.source for cell in notebook.cells if cell.cell_type == "markdown" and "$" in cell.source]
    assert ("code", "code") not in set(pairwise(kinds))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_uses_public_names_only(path: Path) -> None:
    source = notebook_source(path.read_text(encoding="utf-8"))
    assert not study_violations(path.name, source, public_names())
    assert not private_names(source)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_runs_in_time_and_shows_what_its_file_shows(path: Path, tmp_path: Path) -> None:
    kept, start = read(path), seconds_of_kernels()
    fresh = executed(kept, tmp_path)
    assert seconds_of_kernels() - start < LONGEST
    assert kinds_of_outputs(fresh) == kinds_of_outputs(kept)
    assert [fault for _, cell in code_cells(fresh) for fault in output_faults(cell)] == []


def cell_of(source: str, *outputs: Mapping[str, object]) -> Notebook:
    return nbformat.v4.new_code_cell(source, outputs=[nbformat.from_dict(output) for output in outputs])


@pytest.mark.parametrize(
    ("source", "output", "fault"),
    [
        ("print(1)", None, "shows something but has no output"),
        ("figure, axes = plt.subplots()\naxes.plot(x);", None, "shows something but has no output"),
        ("%matplotlib inline\nx = 1\nx", None, "shows something but has no output"),
        ("f()", {"output_type": "stream", "name": "stderr", "text": "careful\n"}, "wrote to stderr: careful"),
        (
            "f()",
            {"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": []},
            "ended with an error, KeyError: 'a'",
        ),
        ("p", {"output_type": "stream", "name": "stdout", "text": "in /home/me/x.h5"}, "one machine: /home/m"),
        (
            "p",
            {"output_type": "display_data", "data": {"text/plain": "<Line at 0x7f01aa55>"}, "metadata": {}},
            "one machine: 0x7f01aa55",
        ),
    ],
)
def test_faults_of_outputs_are_found(source: str, output: dict[str, object] | None, fault: str) -> None:
    (found,) = output_faults(cell_of(source, *([output] if output else [])))
    assert found.endswith(fault)


def test_ordinary_outputs_have_no_faults() -> None:
    table = {"text/html": "<td>1/2</td><br/><b>runs/a/nc.csv</b>", "text/plain": "a / b, km/h/s"}
    shown = {"output_type": "display_data", "data": table, "metadata": {}}
    assert output_faults(cell_of("table", shown)) == []
    assert output_faults(cell_of("import nctools\nx = nctools.measure(a, b)\nf(x);")) == []


def test_names_that_the_package_does_not_offer_are_found() -> None:
    assert private_names("nctools.measure(x)\nnctools.plots.nc_curves\nnctools.measurement.measure") == ["measurement"]


def test_an_execution_shows_in_the_outputs_alone(tmp_path: Path) -> None:
    cells = [cell_of("import pathlib\nlen(list(pathlib.Path().iterdir()))"), cell_of("print('a'); print('b')")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"made": "yesterday"})
    first, second = normalised(executed(notebook, tmp_path)), normalised(executed(notebook, tmp_path))
    assert text_of(first) == text_of(second)
    assert kinds_of_outputs(first) == [["text/plain"], ["stdout"]]
    assert first.cells[0].outputs[0].data["text/plain"] == "0"  # run in the folder it was told
    assert first.metadata == METADATA


def main(names: list[str]) -> None:
    """Execute notebooks, all or those whose name begins with one of ``names``, and write them with their outputs."""
    for path in NOTEBOOKS:
        if names and not path.name.startswith(tuple(names)):
            continue
        start = seconds_of_kernels()
        with tempfile.TemporaryDirectory() as folder:
            fresh = normalised(executed(read(path), Path(folder)))
        path.write_text(text_of(fresh), encoding="utf-8")
        print(f"{path.name}: {seconds_of_kernels() - start:.0f} s, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
