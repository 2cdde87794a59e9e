"""The pages of the losses and of the methods made of them follow from the tables, and leave none out."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

from nctools.evaluation import published_values
from nctools.losses import LOSSES
from nctools.losses.equations import EQUATIONS
from nctools.methods.catalogue import METHODS
from tests.documented_pages import ROOT


@pytest.fixture
def loss_pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    return importlib.import_module("loss_pages")


def test_every_loss_has_an_equation_that_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(EQUATIONS) == list(LOSSES)
    for library in ("sphinx", "latex2mathml"):
        pytest.importorskip(library)
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    mathml = importlib.import_module("mathml").mathml
    assert all("<math" in mathml(equation, block=True) for equation in EQUATIONS.values())


def test_every_setting_of_a_loss_has_a_meaning_of_its_own(loss_pages: ModuleType) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", loss_pages.losses_page().partition("### ")[2], re.MULTILINE)
    assert len(rows) > 60
    assert [name for name, meaning in rows if not meaning or meaning.startswith(("As in", "Likewise"))] == []


def test_settings_stand_under_the_data_set_that_they_were_published_for(loss_pages: ModuleType) -> None:
    shown = loss_pages.loss_settings_table(LOSSES["db_focal"])
    assert "| setting | meaning | value | VOC-LT | COCO-LT |" in shown
    values = {name: cells for name, *cells in re.findall(r"^\| `(\w+)` \|.*\| (.*) \| (.*) \| (.*) \|$", shown, re.M)}
    assert values["lambd"] == ["`2`", "`5`", "`2`"]
    assert values["mu"] == ["`0.3`", "`0.3`", "`0.2`"]
    assert values["gamma"] == ["`2`", "", ""]


def test_a_loss_is_documented_with_the_calls_that_train_it(loss_pages: ModuleType) -> None:
    assert loss_pages.command("db_focal") == "`nctools train db_focal`, `nctools train mlc_nc --loss db_focal`"
    assert loss_pages.command("r_bce") == "`nctools train mlc_nc --loss r_bce`"
    assert "nctools train" not in loss_pages.command("rlc")


def test_printed_numbers_stand_beside_their_method(loss_pages: ModuleType) -> None:
    assert "| VOC-LT, MLC-NC | 78.94 | 73.22 | 84.18 | 79.30 |" in loss_pages.method_facts("db_focal")
    elsewhere = loss_pages.elsewhere_table()
    assert "| CAE-Net | VOC-LT, CSSFE | weighted F1 | 72.7 | - | - | - |" in elsewhere
    assert "| PG loss | VOC-LT, MLC-NC (recalled) | mAP | 80.37 | 73.67 | 83.83 | 82.88 |" in elsewhere


def test_every_printed_method_is_trained_here_or_listed_as_not(loss_pages: ModuleType) -> None:
    printed = {value.method for value in published_values(setting="")}
    assert printed <= METHODS.keys() | loss_pages.ELSEWHERE.keys()


def test_every_method_has_its_section() -> None:
    folder = ROOT / "docs" / "methods"
    headings = {
        heading
        for page in ("loss-methods.md", "two-stages.md")
        for heading in re.findall(r"^## (\w+)$", (folder / page).read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {name for name in METHODS if not (folder / f"{name}.md").exists()} == headings


def test_arguments_that_are_handed_on_and_stages_are_told(loss_pages: ModuleType) -> None:
    facts = loss_pages.method_facts("db_focal")
    assert re.findall(r"^\| `(\w+)` \|", facts, re.MULTILINE)[:4] == ["gamma", "scale", "alpha", "beta"]
    assert "**Sampling:** class-aware" in facts
    assert "**Sampling:** uniform, then class-aware" in loss_pages.method_facts("lws")
    assert "mean over rows + mean over columns" in loss_pages.method_facts("two_way")
