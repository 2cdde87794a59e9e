"""A run with label vectors out of a file: trained, measured and evaluated after the file is gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nctools.data.digits_lt import build_digits_lt
from nctools.methods.checkpoint import load_checkpoint, rebuild
from tests.cli.conftest import Command

SHORT = ("--dataset", "digits_lt", "--epochs", "1", "--nc-every", "0", "--set", "num_features=32", "--quiet")


@pytest.fixture(scope="module")
def class_names() -> list[str]:
    return list(build_digits_lt("test").class_names)


@pytest.mark.parametrize("method", ["mlc_nc", "class_attention"])
def test_a_checkpoint_needs_its_file_of_vectors_no_more(
    method: str, class_names: list[str], nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(20, 7))
    order = np.random.default_rng(1).permutation(20)
    np.savez("words.npz", vectors=rows[order], class_names=np.array(class_names)[order])
    trained = nctools_command("train", method, *SHORT, "--label-embedding", "text:words.npz", "--out", "run")
    assert trained.code == 0, trained.err
    assert f"label_embedding: text:{tmp_path / 'words.npz'}" in Path("run/config.yaml").read_text(encoding="utf-8")
    Path("words.npz").unlink()

    checkpoint = load_checkpoint("run/checkpoints/last.pt")
    kept = rebuild(checkpoint).state_dict()["head.label_embedding.vectors"]
    unit = torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()
    torch.testing.assert_close(kept, unit)
    for command in ("measure", "evaluate"):
        outcome = nctools_command(command, "run/checkpoints/last.pt", "--split", "test", "--json", "-", "--quiet")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)


def test_a_repeated_run_asks_for_the_file_by_its_path(
    class_names: list[str], nctools_command: Command, tmp_path: Path
) -> None:
    lines = [f"{name.replace(' ', '_')} {place} 1" for place, name in enumerate(class_names)]
    file = tmp_path / "words.txt"
    file.write_text("\n".join(lines[1:]), encoding="utf-8")
    outcome = nctools_command("train", "mlc_nc", *SHORT, "--label-embedding", f"text:{file}", "--out", tmp_path / "r")
    assert outcome.code == 3
    assert f"{file} has no vector for class {class_names[0]!r}" in " ".join(outcome.err.split())
    assert not (tmp_path / "r").exists()
    file.unlink()
    outcome = nctools_command("train", "mlc_nc", *SHORT, "--label-embedding", f"text:{file}", "--out", tmp_path / "r")
    assert outcome.code == 3
    assert f"{file} is no file" in " ".join(outcome.err.split())
