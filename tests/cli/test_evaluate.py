"""evaluate: runs and seeds, protocols, the published row beside ours."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import nctools
from nctools.evaluation import paper_values
from nctools.evaluation.paper_values import PublishedValue
from nctools.methods import load_checkpoint, save_checkpoint
from nctools.run_directory import RunDirectory
from tests.cli.conftest import Command

Published = Callable[[dict[str, float]], None]


def another_seed(run: RunDirectory, target: Path, seed: int, **changed: object) -> Path:
    """A copy of a run as another seed might have left it: other weights, another config.yaml."""
    shutil.copytree(run.path, target)
    config = yaml.safe_load(run.config.read_text(encoding="utf-8")) | {"seed": seed} | changed
    (target / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    generator = torch.Generator().manual_seed(seed)
    for path in (target / "checkpoints").glob("*.pt"):
        checkpoint = load_checkpoint(path)
        state = dict(checkpoint.state_dict)
        for name, value in state.items():
            if value.is_floating_point() and value.ndim > 1:
                state[name] = value + 0.02 * torch.randn(value.shape, generator=generator)
        save_checkpoint(dataclasses.replace(checkpoint, state_dict=state, seed=seed), path)
    return target


@pytest.fixture(scope="module")
def seeds(trained_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``nctools train --seeds 0,1,2`` leaves."""
    folder = tmp_path_factory.mktemp("seeds") / "mlc"
    for seed in range(3):
        another_seed(trained_run, folder / f"s{seed}", seed)
    (folder / "summary").mkdir()  # no run
    return folder


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    """Put a published row of MLC-NC on the embedded data into the table."""

    def put(groups: dict[str, float]) -> None:
        rows = [PublishedValue("made_up", "t", "digits_lt", "mlc_nc", "", "mAP", *item) for item in groups.items()]
        monkeypatch.setattr(paper_values, "_rows", lambda: rows)

    return put


def test_a_run_directory_gives_its_best_checkpoint(nctools_command: Command, trained_run: RunDirectory) -> None:
    by_run = nctools_command("evaluate", trained_run.path, "--json", "-", "--quiet")
    by_file = nctools_command("evaluate", trained_run.checkpoints / "best.pt", "--json", "-", "--quiet")
    assert (by_run.code, by_run.err) == (0, "")
    first, second = json.loads(by_run.out), json.loads(by_file.out)
    assert first["weights"] == second["weights"] == first["runs"][0]["weights"]
    assert first["runs"][0]["checkpoint"] == str(trained_run.checkpoints / "best.pt")
    assert first["runs"][0]["seed"] == second["runs"][0]["seed"] == 0
    last = nctools_command("evaluate", trained_run.path, "--checkpoint", "last", "--json", "-", "--quiet")
    assert json.loads(last.out)["runs"][0]["checkpoint"].endswith("last.pt")


def test_a_run_without_validation_gives_its_last_checkpoint_and_says_so(
    nctools_command: Command, trained_run: RunDirectory, tmp_path: Path
) -> None:
    run = another_seed(trained_run, tmp_path / "run", 0)
    (run / "checkpoints" / "best.pt").unlink()
    outcome = nctools_command("evaluate", run, "--quiet")
    assert outcome.code == 0, outcome.err
    assert outcome.err == f"note: {run} has no best.pt (nothing to validate on), its last.pt is scored\n"
    assert nctools_command("evaluate", run, "--checkpoint", "last", "--quiet").err == ""
    assert nctools_command("evaluate", run / "checkpoints" / "last.pt", "--quiet").err == ""


def test_a_folder_of_seeds_gives_a_row_each_then_mean_and_spread(nctools_command: Command, seeds: Path) -> None:
    outcome = nctools_command("evaluate", seeds, "--weights", "both", "--quiet")
    assert outcome.code == 0, outcome.err
    labels = [" ".join(line.split()[:2]) for line in outcome.out.splitlines() if re.match(r"  (raw|ema) ", line)]
    assert labels[:8] == ["raw s0", "raw s1", "raw s2", "raw mean", "ema s0", "ema s1", "ema s2", "ema mean"]
    assert re.search(r"raw mean ± sd +\d+\.\d\d ± \d\.\d\d", outcome.out)
    assert max(map(len, outcome.out.splitlines())) <= 110


def test_json_of_seeds_holds_each_run_and_their_mean(nctools_command: Command, seeds: Path) -> None:
    paths = [seeds / f"s{seed}" / "checkpoints" / "best.pt" for seed in range(3)]
    document = json.loads(nctools_command("evaluate", *paths, "--json", "-", "--quiet").out)
    assert [run["seed"] for run in document["runs"]] == [0, 1, 2]
    values = [run["weights"]["raw"]["mean_average_precision"]["tail"] for run in document["runs"]]
    assert len(set(values)) > 1
    summary = document["summary"]["raw"]["mean_average_precision.tail"]
    assert summary["num_runs"] == 3
    assert summary["mean"] == pytest.approx(sum(values) / 3)
    assert summary["sd"] == pytest.approx(torch.tensor(values, dtype=torch.float64).std().item())
    assert "decisions.weighted.f1" in document["summary"]["raw"]
    found = nctools.evaluate_runs([seeds])
    assert found.means("raw")["mean_average_precision.tail"].to_dict() == summary


def test_runs_that_differ_in_more_than_the_seed_are_refused(
    nctools_command: Command, trained_run: RunDirectory, seeds: Path, tmp_path: Path
) -> None:
    other = another_seed(trained_run, tmp_path / "other", 5, arguments={"num_features": 64, "warmup_epochs": 1})
    outcome = nctools_command("evaluate", seeds / "s0", other, "--quiet")
    assert (outcome.code, outcome.out) == (3, "")
    assert "differ in more than the seed" in outcome.err
    assert "arguments.num_features: 32 and 64" in outcome.err
    same = nctools_command("evaluate", seeds / "s1", seeds / "s1" / "checkpoints" / "last.pt", "--quiet")
    assert same.code == 3
    assert "have the same seed, 1" in same.err


@pytest.mark.parametrize(("ap", "differs"), [("rank", False), ("voc11", True), ("tie-aware", False)])
def test_protocol_is_used_and_named(
    ap: str, differs: bool, nctools_command: Command, trained_run: RunDirectory
) -> None:
    usual = json.loads(nctools_command("evaluate", trained_run.path, "--json", "-", "--quiet").out)
    found = json.loads(nctools_command("evaluate", trained_run.path, "--ap", ap, "--json", "-", "--quiet").out)
    assert found["protocol"] == found["weights"]["raw"]["protocol"] == ap
    first, second = (document["weights"]["raw"]["mean_average_precision"]["all"] for document in (usual, found))
    assert (abs(first - second) > 1e-4) == differs
    assert f"{ap} average precision" in nctools_command("evaluate", trained_run.path, "--ap", ap, "--quiet").out


def test_a_published_row_within_the_tolerance_passes(
    nctools_command: Command, seeds: Path, published: Published
) -> None:
    means = nctools.evaluate_runs([seeds]).mean_average_precision("raw")
    published({group: 100 * value + 0.5 for group, value in means.items()})
    outcome = nctools_command("evaluate", seeds, "--check-paper", "--quiet")
    assert outcome.code == 0, outcome.err
    assert "check passed: at most 1 points of mAP from mlc_nc on digits_lt as published (made_up)" in outcome.err
    assert "note: not as published: num_features=32, warmup_epochs=1, recipe.epochs=2" in outcome.err
    assert re.search(r"raw - paper +(-0\.50 +){4}", outcome.out)
    assert re.search(rf"paper +{100 * means['all'] + 0.5:.2f} ", outcome.out)
    closer = nctools_command("evaluate", seeds, "--check-paper", "--tolerance", 0.4, "--quiet", "--json", "-")
    assert closer.code == 4
    paper = json.loads(closer.out)["paper"]
    assert paper["within"] is False
    assert paper["differences"]["raw"]["tail"] == pytest.approx(-0.5)
    assert paper["published"]["head"] == pytest.approx(100 * means["head"] + 0.5)


@pytest.mark.parametrize(("group", "shift", "side"), [("tail", 2.0, "below"), ("head", -3.0, "above")])
def test_a_group_too_far_off_on_either_side_fails_and_is_named(
    group: str, shift: float, side: str, nctools_command: Command, trained_run: RunDirectory, published: Published
) -> None:
    ours = nctools.evaluate_checkpoint(trained_run.path).mean_average_precision
    published({name: 100 * value + shift * (name == group) for name, value in ours.items()})
    outcome = nctools_command("evaluate", trained_run.path, "--check-paper", "--quiet")
    assert outcome.code == 4
    assert (
        f"check failed: more than 1 points of mAP from mlc_nc on digits_lt as published (made_up): raw {group}: "
        in (outcome.err)
    )
    assert f"{abs(shift):.2f} {side} the published" in outcome.err
    assert outcome.err.count("the published") == 1


def test_without_a_published_value_nothing_is_scored(nctools_command: Command, trained_run: RunDirectory) -> None:
    outcome = nctools_command("evaluate", trained_run.path, "--check-paper")
    assert (outcome.code, outcome.out) == (3, "")
    assert "no published mAP is known of mlc_nc on digits_lt: of mlc_nc there is coco_lt, voc_lt" in outcome.err
    assert "scoring" not in outcome.err
    other = nctools_command("evaluate", trained_run.path, "--check-paper", "--split", "train")
    assert other.code == 3
    assert "leave --data and --split out" in other.err
