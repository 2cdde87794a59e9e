"""Fresh processes: what an import or a short command loads, and what it must leave alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# Everything that costs more than the command that would load it.
HEAVY = ("torch", "torchmetrics", "lightning", "pandas", "matplotlib", "timm", "torchvision", "umap", "seaborn")
REPORT = """
import json, sys
print("\\nLOADED " + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
COMMAND = """
import sys
from nctools.cli.app import main
sys.argv = ["nctools", *{arguments!r}]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
"""


def run_fresh(code: str) -> tuple[set[str], str]:
    """Run code in a new interpreter; give the top-level packages it loaded and what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", code + REPORT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "120"},
    )
    assert result.returncode == 0, result.stderr
    printed, _, loaded = result.stdout.rpartition("\nLOADED ")
    return set(json.loads(loaded)), printed


def test_the_probe_sees_what_is_loaded() -> None:
    loaded, printed = run_fresh("import json, xml.dom\nprint('hello')")
    assert "xml" in loaded
    assert "torch" not in loaded
    assert printed.strip() == "hello"


@pytest.mark.parametrize(
    "module",
    [
        "nctools",
        "nctools.cli.app",
        "nctools.collapse.catalogue",
        "nctools.collapse.groups",
        "nctools.data.catalogue",
        "nctools.evaluation.paper_check",
        "nctools.data.label_vectors",
        "nctools.losses.catalogue",
        "nctools.methods.catalogue",
        "nctools.studies",
    ],
)
def test_import_loads_nothing_heavy(module: str) -> None:
    loaded, _ = run_fresh(f"import {module}")
    assert "nctools" in loaded
    assert loaded.isdisjoint(HEAVY), sorted(loaded.intersection(HEAVY))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "measure"),
        (["metrics"], "nc1_pinv"),
        (["methods"], "mlc_nc"),
        (["losses"], "nt_bce"),
        (["explain", "nc1_pinv"], "formula"),
    ],
)
def test_short_command_loads_nothing_heavy(arguments: list[str], expected: str) -> None:
    loaded, printed = run_fresh(COMMAND.format(arguments=arguments))
    assert expected in printed
    assert loaded.isdisjoint(HEAVY), sorted(loaded.intersection(HEAVY))


def test_collapse_computes_with_torch_numpy_and_scipy_alone() -> None:
    loaded, _ = run_fresh("import nctools.collapse.compute")
    assert "torch" in loaded
    others = set(HEAVY) - {"torch"} | {"sklearn", "h5py", "pydantic", "typer", "rich"}
    assert loaded.isdisjoint(others), sorted(loaded.intersection(others))
