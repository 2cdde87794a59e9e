"""Equations of the documentation become MathML; what cannot be translated ends the build instead of looking odd."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from types import ModuleType

import pytest

from tests.documented_pages import ROOT


@pytest.fixture
def extension() -> ModuleType:
    """The Sphinx extension; the libraries of the documentation may not be installed."""
    pytest.importorskip("sphinx")
    pytest.importorskip("latex2mathml")
    spec = importlib.util.spec_from_file_location("mathml", ROOT / "docs" / "_ext" / "mathml.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_formula_is_one_well_formed_element(extension: ModuleType) -> None:
    root = ET.fromstring(extension.mathml(r"\frac{1}{C} \sum_{c} v_c < 1", block=True))
    assert root.tag.endswith("math")
    assert root.get("display") == "block"
    assert {element.tag.rpartition("}")[2] for element in root.iter()} >= {"mfrac", "msub"}


@pytest.mark.parametrize(
    ("latex", "named"), [(r"\nosuch x", r"\\nosuch"), (r"\begin{aligned} a &= b \end{aligned}", "&")]
)
def test_what_cannot_be_translated_is_refused(extension: ModuleType, latex: str, named: str) -> None:
    from sphinx.errors import ExtensionError

    with pytest.raises(ExtensionError, match=rf"has .*{named}, which latex2mathml cannot translate"):
        extension.mathml(latex, block=True)
