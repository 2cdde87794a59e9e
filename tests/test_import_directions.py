"""Reads every import with ``ast``: who may know whom, and which library belongs to which part."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parents[1]
Place = Literal["module", "function", "typing"]

# Everyone may import these.
FOUNDATION = ("errors", "run_directory", "_torchvision_guard", "_factories", "_safe_torch")
# What else each part of the package may import, itself always included. "collapse" means the whole folder.
ALLOWED: dict[str, tuple[str, ...]] = {
    "errors": (),
    "run_directory": ("errors",),
    "_torchvision_guard": (),
    "_factories": ("errors", "_torchvision_guard"),
    "_safe_torch": ("errors",),
    "collapse": (),
    "losses": (),
    "models": (),
    "data": ("collapse.groups",),
    "evaluation": ("collapse.groups",),
    "plots": ("collapse.groups",),
    "features": ("models.output",),
    "metric": ("collapse", "metric_settings", "metric_state"),
    "metric_settings": ("collapse",),
    "metric_state": ("collapse",),
    "methods": ("models", "losses", "data.samplers", "data.label_vectors", "collapse.groups"),
    # Any file of weights, any architecture -> a model that is ready to be run.
    "networks": ("methods", "models", "data.preprocessing", "features"),
    # The NC callback measures as `measure` does, so that a curve equals a later measurement.
    "training": (
        *("methods", "data", "evaluation", "features", "collapse"),
        *("metric", "measurement", "undisturbed", "collapse_curve", "models.output"),
    ),
    # What two studies need: runs of variants and seeds, and the tables made of them.
    "studies": (
        *("training", "checkpoints", "measurement", "evaluation", "plots", "collapse"),
        *("methods", "data"),
    ),
    "forward_options": (),
    "prepared": ("forward_options", "networks", "data"),
    # Runs by their paths; what several of them score.
    "run_settings": ("methods",),
    "trained_runs": ("methods", "run_settings"),
    "checkpoints": ("forward_options", "prepared", "data", "evaluation", "features", "trained_runs"),
    "run_evaluation": ("forward_options", "checkpoints", "evaluation", "prepared", "trained_runs"),
    "paper_comparison": ("data", "evaluation", "forward_options", "methods", "trained_runs"),
    "stored_pairs": ("features", "collapse"),
    "collapse_curve": ("collapse",),
    "undisturbed": ("features", "collapse", "measurement", "store_measurement", "models.output"),
    "watching": (
        *("features", "collapse", "measurement", "store_measurement"),
        *("undisturbed", "collapse_curve", "models.output"),
    ),
    "store_measurement": ("features", "collapse", "stored_pairs"),
    "measurement": ("forward_options", "checkpoints", "features", "collapse", "store_measurement"),
    # Paths in, drawings out: what a figure shows is read or measured here.
    "figures": (
        *("plots", "collapse", "features", "evaluation", "data", "models.output"),
        *("forward_options", "prepared", "checkpoints", "trained_runs", "run_evaluation", "run_scores"),
        *("measurement", "store_measurement", "stored_pairs", "localisation"),
    ),
    # What a trained run answers on the images of a split: one pass, kept beside the run.
    "run_scores": ("forward_options", "prepared", "checkpoints", "features", "evaluation", "data", "trained_runs"),
    # Class maps against boxes.
    "localisation": (
        *("forward_options", "prepared", "checkpoints", "features", "evaluation", "data", "trained_runs"),
        "localisation_result",
    ),
    "localisation_result": ("evaluation",),
    "report": (
        *("plots", "figures", "collapse", "evaluation", "data", "forward_options", "checkpoints", "measurement"),
        *("trained_runs", "run_evaluation", "run_scores", "localisation", "features", "methods", "prepared"),
        "run_settings",
    ),
    "__main__": ("cli",),
    "cli": (
        *("collapse", "losses", "models", "data", "evaluation", "plots", "features", "metric", "methods"),
        *("training", "checkpoints", "measurement", "store_measurement", "stored_pairs", "report", "networks"),
        *("studies", "forward_options", "trained_runs", "run_evaluation", "paper_comparison", "figures"),
        *("run_scores", "localisation", "localisation_result"),
    ),
}
# The only modules (or folders) that may import a library.
LIBRARY_HOME: dict[str, tuple[str, ...]] = {
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli", "training", "features.progress"),
    "lightning": ("training",),
    "torchcam": ("features.maps",),
}
# Loaded only inside the function that needs them; the folders named may import them at the top.
HEAVY: dict[str, tuple[str, ...]] = {
    "lightning": ("training",),
    "pandas": (),
    "plotly": (),
    "seaborn": (),
    "timm": (),
    "torchvision": (),
    "transformers": (),
    "umap": (),
}
COLLAPSE_LIBRARIES = ("numpy", "scipy", "torch")


@dataclass(frozen=True)
class Import:
    """One imported name: ``from a.b import c`` gives ``a.b.c``."""

    target: str
    line: int
    place: Place

    @property
    def library(self) -> str:
        """The top-level package."""
        return self.target.partition(".")[0]


@dataclass
class ImportReader(ast.NodeVisitor):
    """Collects imports at every depth, with the place they stand in."""

    found: list[Import] = field(default_factory=list)
    place: Place = "module"

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [Import(alias.name, node.lineno, self.place) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        source = "." * node.level + (node.module or "")
        self.found += [Import(f"{source}.{alias.name}", node.lineno, self.place) for alias in node.names]

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"import_module", "__import__"} and node.args and isinstance(node.args[0], ast.Constant):
            self.found.append(Import(str(node.args[0].value), node.lineno, self.place))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self.generic_visit(node)
            return
        self._visit_in("typing", node.body)
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_in("function", node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name is ast's

    def _visit_in(self, place: Place, nodes: list[ast.stmt]) -> None:
        before, self.place = self.place, place
        for node in nodes:
            self.visit(node)
        self.place = before


def read_imports(source: str) -> list[Import]:
    """Every import of a source text, in any depth."""
    reader = ImportReader()
    reader.visit(ast.parse(source))
    return reader.found


def lies_in(name: str, homes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of ``homes`` or lies below one."""
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def package_violations(module: str, source: str) -> list[str]:
    """What a module of the package imports against the rules.

    ``module`` is its dotted name without ``nctools.``; an ``__init__`` bears the name of its folder.
    """
    return [
        f"nctools.{module}, line {imported.line}: {imported.target} ({imported.place}): {reason}"
        for imported in read_imports(source)
        if (reason := _package_fault(module, imported))
    ]


def _package_fault(module: str, imported: Import) -> str:
    if imported.target.startswith("."):
        return "relative import"
    if imported.library == "nctools":
        return _direction_fault(module, imported.target)
    return _library_fault(module, imported)


def _direction_fault(module: str, target: str) -> str:
    part = module.partition(".")[0]
    name = target.removeprefix("nctools").removeprefix(".")
    if name == "__version__" or (not name and part == "cli"):
        return ""
    allowed = ALLOWED.get(part)
    if allowed is None:
        return f"{part} has no rank: give it one in {Path(__file__).name}"
    if part in FOUNDATION:
        return "" if lies_in(name, (part, *allowed)) else f"{part} may only import {allowed or 'nothing'} of nctools"
    if lies_in(name, (part, *FOUNDATION, *allowed)):
        return ""
    return f"{part} may only import {', '.join((*FOUNDATION, *allowed))} of nctools"


def _library_fault(module: str, imported: Import) -> str:
    library = {"pytorch_lightning": "lightning", "lightning_fabric": "lightning"}.get(
        imported.library, imported.library
    )
    if library in LIBRARY_HOME and not lies_in(module, LIBRARY_HOME[library]):
        return f"only {', '.join(LIBRARY_HOME[library])} may import {library}"
    if library in HEAVY and imported.place == "module" and not lies_in(module, HEAVY[library]):
        return f"{library} is imported inside the function that needs it"
    if lies_in(module, ("collapse",)) and not _collapse_may_import(module, library):
        return "collapse needs numpy, scipy and torch alone (result.py: pandas, inside a function)"
    return ""


def _collapse_may_import(module: str, library: str) -> bool:
    if library in sys.stdlib_module_names or library in COLLAPSE_LIBRARIES:
        return True
    return library == "pandas" and module == "collapse.result"  # not at the top: HEAVY sees to that


def study_violations(name: str, source: str, public: Mapping[str, frozenset[str]]) -> list[str]:
    """What a script or notebook imports from nctools beside public names.

    ``public`` has the ``__all__`` of ``nctools`` and of each of its folders, by dotted name.
    """
    return [
        f"{name}, line {imported.line}: {imported.target} is not a public name"
        for imported in read_imports(source)
        if imported.library == "nctools" and not _is_public(imported.target, public)
    ]


def _is_public(target: str, public: Mapping[str, frozenset[str]]) -> bool:
    if target in public:
        return True
    package, _, name = target.rpartition(".")
    return name in public.get(package, frozenset())


def literal_all(source: str) -> frozenset[str]:
    """The names in a literal ``__all__``; empty when there is none."""
    for node in ast.parse(source).body:
        names = [ast.unparse(target) for target in getattr(node, "targets", [])]
        if isinstance(node, ast.Assign) and names == ["__all__"]:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def package_modules() -> dict[str, str]:
    """Dotted name (without ``nctools.``) and source of every module but ``nctools/__init__.py``."""
    package = ROOT / "nctools"
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            modules[name] = path.read_text(encoding="utf-8")
    return modules


def public_names() -> dict[str, frozenset[str]]:
    """``__all__`` of ``nctools`` and of each folder that is public itself."""
    names = {"nctools": literal_all((ROOT / "nctools" / "__init__.py").read_text(encoding="utf-8"))}
    for folder in sorted(names["nctools"]):
        init = ROOT / "nctools" / folder / "__init__.py"
        if init.is_file():
            names[f"nctools.{folder}"] = literal_all(init.read_text(encoding="utf-8"))
    return names


def studies() -> Iterator[tuple[str, str]]:
    """Name and source of every script and notebook in ``analysis/`` and ``examples/``."""
    for folder in ("analysis", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.ipynb")):
            yield str(path.relative_to(ROOT)), notebook_source(path.read_text(encoding="utf-8"))


def notebook_source(document: str) -> str:
    """The code cells of a notebook as one source text, without shell and magic lines."""
    cells = [cell["source"] for cell in json.loads(document)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join(cell if isinstance(cell, str) else "".join(cell) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def test_every_import_of_the_package_goes_in_the_allowed_direction() -> None:
    modules = package_modules()
    assert "errors" in modules  # the reader found the package
    faults = [fault for name, source in modules.items() for fault in package_violations(name, source)]
    assert not faults, "\n".join(faults)


def test_studies_and_examples_import_public_names_only() -> None:
    faults = [fault for name, source in studies() for fault in study_violations(name, source, public_names())]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("losses.bce", "from nctools.models.output import Output", "losses may only import"),
        ("data.voc", "import nctools.training", "data may only import"),
        ("data.voc", "from nctools.collapse.result import load_result", "data may only import"),
        ("methods.erm", "def f():\n    from nctools.training.fit import fit", "methods may only import"),
        ("methods.erm", "from nctools.data import ClassAwareSampler", "methods may only import"),
        ("features.store", "if TYPE_CHECKING:\n    from nctools.data.dataset import MultiLabelDataset", "line 2"),
        ("features.store", "if x:\n    pass\nelse:\n    import nctools.cli.app", "line 4"),
        ("collapse.result", "importlib.import_module('nctools.plots.curves')", "collapse may only import"),
        ("collapse", "from nctools import measure", "collapse may only import"),
        ("features.hooks", "import nctools", "features may only import"),
        ("errors", "from nctools.run_directory import newest_run", "errors may only import nothing"),
        ("novelty.thing", "from nctools.errors import StoreError", "novelty has no rank"),
        ("data.voc", "from .dataset import MultiLabelDataset", "relative import"),
        ("data.voc", "from rich.progress import track", "only cli, training, features.progress"),
        ("features.store", "def f():\n    import rich", "only cli, training, features.progress"),
        ("measurement", "import typer", "only cli may import typer"),
        ("metric", "def f():\n    import lightning.pytorch", "only training may import lightning"),
        ("cli.doctor", "def f():\n    import pytorch_lightning", "only training may import lightning"),
        ("features.hooks", "def f():\n    import torchcam", "only features.maps may import torchcam"),
        ("collapse.nc1", "import sklearn", "collapse needs numpy, scipy and torch alone"),
        ("collapse.groups", "def f():\n    import pandas", "collapse needs numpy, scipy and torch alone"),
        ("collapse.result", "import pandas as pd", "inside the function"),
        ("models.backbones", "import timm", "inside the function"),
        ("plots.blocks", "from seaborn import heatmap", "inside the function"),
    ],
)
def test_planted_violation_is_found(module: str, source: str, message: str) -> None:
    (fault,) = package_violations(module, source)
    assert fault.startswith(f"nctools.{module}, line ")
    assert message in fault


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "losses.bce",
            "import torch\nfrom nctools.losses._checks import check\nfrom nctools.errors import ConfigError",
        ),
        ("collapse.result", "if TYPE_CHECKING:\n    import pandas as pd\ndef f():\n    import pandas"),
        ("features.progress", "def f():\n    from rich.progress import Progress"),
        ("training.fit", "import lightning.pytorch as pl\nfrom nctools.methods import build"),
        ("cli.doctor", "from nctools import __version__\nimport typer, rich"),
        ("data.transforms", "from nctools._torchvision_guard import import_torchvision"),
        ("models.backbones", "def f():\n    import timm"),
        ("methods.mlc_nc", "from nctools.data.samplers import ClassAwareSampler"),
    ],
)
def test_allowed_import_passes(module: str, source: str) -> None:
    assert package_violations(module, source) == []


def test_study_that_reaches_into_the_package_is_found() -> None:
    public = {"nctools": frozenset({"measure", "losses"}), "nctools.losses": frozenset({"bce_loss"})}
    good = "import nctools\nimport torch\nfrom nctools import measure, losses\nfrom nctools.losses import bce_loss"
    assert study_violations("analysis/a.py", good, public) == []
    bad = "from nctools.losses.bce import bce_loss\ndef f():\n    from nctools.losses import _checks"
    assert study_violations("analysis/a.py", bad, public) == [
        "analysis/a.py, line 1: nctools.losses.bce.bce_loss is not a public name",
        "analysis/a.py, line 3: nctools.losses._checks is not a public name",
    ]


def test_notebook_cells_are_read_as_one_source() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["import nctools.cli"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import nctools\n", "!ls"]},
        {"cell_type": "code", "source": "from nctools.cli.app import main"},
    ]
    source = notebook_source(json.dumps({"cells": cells}))
    assert [imported.target for imported in read_imports(source)] == ["nctools", "nctools.cli.app.main"]


def test_literal_all_is_read_without_importing() -> None:
    assert literal_all("__all__ = ['a', 'b']") == {"a", "b"}
    assert literal_all("x = 1") == frozenset()
