"""The studies run."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from nctools.methods import METHODS
from nctools.training import load_config, make_config

ANALYSIS = Path(__file__).parent.parent / "analysis"
STUDIES = ("ablation", "class_angles", "compare_methods", "nc_vs_map", "projection_width")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all studies share, as by default: what one has trained the others use."""
    return tmp_path_factory.mktemp("studies")


def study(name: str, out: Path, *arguments: str) -> str:
    """Run a study in this process; give what it prints."""
    # Few large batches: what the studies find is not looked at here.
    settings = ["--set", "batch_size=256", "epoch_length=images"]
    words = [f"{name}.py", "--smoke", "--out", str(out), *settings, *arguments]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as changed, contextlib.redirect_stdout(printed):
        changed.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ANALYSIS / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 0
    return printed.getvalue()


@pytest.mark.slow
def test_the_comparison_of_methods_trains_in_processes_of_its_own_and_not_twice(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ANALYSIS.parent))
    words = ["--methods", "mlc_nc", "erm", "--no-tuning", "--jobs", "2"]
    printed = study("compare_methods", out, *words)
    trained = (out / "erm-s0" / "metrics.csv").stat().st_mtime_ns
    assert study("compare_methods", out, *words) == printed
    assert (out / "erm-s0" / "metrics.csv").stat().st_mtime_ns == trained
    assert "epoch 2/2" in (out / "erm-s0" / "train.log").read_text(encoding="utf-8")
    runs = pd.read_csv(out / "tables" / "compare_methods_runs.csv")
    assert runs["variant"].tolist() == ["mlc_nc", "erm"]
    assert runs["test mAP tail"].between(0, 100).all()
    assert runs["scored"].tolist() == ["best", "best"]
    assert "| erm | penultimate | 1 |" in printed
    assert "paper: " not in printed, "digits_lt is in no paper"
    assert not (out / "tuning").exists()
    assert (out / "figures" / "compare_methods.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_comparison_chooses_settings_on_validation_before_it_trains(tmp_path: Path) -> None:
    printed = study("compare_methods", tmp_path, "--methods", "erm", "lws", "--jobs", "0", "--head", "class_attention")
    table = pd.read_csv(tmp_path / "tables" / "compare_methods_class_attention_tuning.csv")
    assert table["method"].tolist() == ["erm", "erm"], "LWS takes ERM's settings"
    assert table["epochs"].tolist() == [1, 1]
    (chosen,) = table[table["chosen"] == "yes"].to_dict("records")
    assert chosen["val mAP"] == table["val mAP"].max()
    rate = str(chosen["setting"]).partition("=")[2]
    configs = [load_config(file) for file in tmp_path.glob("*-s0/config.yaml")]
    assert {config.method: str(config.recipe.max_lr) for config in configs} == {"erm": rate, "lws": rate}
    assert {config.arguments["head"] for config in configs} == {"class_attention"}
    assert "| erm, class-wise head | classwise | 1 |" in printed
    assert "| lws, class-wise head | classwise | 1 |" in printed


def test_each_method_has_four_settings_and_the_first_is_its_usual_one() -> None:
    script = runpy.run_path(str(ANALYSIS / "compare_methods.py"))
    grid_of, follows = script["grid_of"], script["FOLLOWS"]
    assert {*script["GRID"], *follows} == {*METHODS}
    for method in script["GRID"]:
        counted = [make_config(method, "digits_lt", row).settings_that_count() for row in grid_of(method, "digits_lt")]
        assert len(counted) == 4
        assert all(counted.count(row) == 1 for row in counted)
        usual = make_config(method, "digits_lt").settings_that_count()
        assert {key: (usual[key], counted[0][key]) for key in usual if usual[key] != counted[0][key]} == {}, method


def test_learning_rates_are_in_proportion_to_the_usual_one() -> None:
    grid_of = runpy.run_path(str(ANALYSIS / "compare_methods.py"))["grid_of"]
    assert [row["recipe.max_lr"] for row in grid_of("erm", "digits_lt")] == [3e-3, 6e-3, 1e-2, 2e-2]
    assert [row["recipe.max_lr"] for row in grid_of("erm", "voc_lt")] == [1e-4, 2e-4, 3.33e-4, 6.67e-4]


@pytest.mark.slow
def test_the_ablation_uses_the_full_method_that_is_there(out: Path) -> None:
    printed = study("ablation", out, "--jobs", "0", "--only", "mlc_nc", "without BEC")
    assert "| without BEC | 1 |" in printed
    assert not (out / "ablation").exists()
    differences = pd.read_csv(out / "tables" / "ablation_differences.csv")
    assert differences["variant"].tolist() == ["without BEC"]
    drawn = pd.read_csv(out / "figures" / "ablation.csv")
    assert list(dict.fromkeys(drawn["group"])) == ["all", "head", "medium", "tail"]


def test_the_rows_of_the_ablation_have_the_other_attention_and_the_users_vectors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    variants_of = runpy.run_path(str(ANALYSIS / "ablation.py"))["variants_of"]
    names = [variant.name for variant in variants_of("digits_lt", "vectors.csv")]
    assert names[-4:] == ["attention cosine", "label embedding text", "class_attention", "erm"]
    assert "attention multihead" in [variant.name for variant in variants_of("voc_lt", None)]
    assert len(names) == 10


def test_the_width_of_the_projection_that_is_usual_is_not_trained_again(out: Path) -> None:
    before = (out / "mlc_nc-s0" / "metrics.csv").stat().st_mtime_ns if (out / "mlc_nc-s0").exists() else None
    study("projection_width", out, "--jobs", "0", "--widths", "20", "--only", "p=20")
    if before is not None:
        assert not (out / "p=20-s0").exists()
    drawn = pd.read_csv(out / "figures" / "projection_width.csv")
    assert set(drawn["setting"]) == {20}


def test_angles_are_drawn_centred_and_uncentred(out: Path) -> None:
    printed = study("class_angles", out, "--jobs", "0", "--only", "mlc_nc")
    assert "uncentred angle all | uncentred angle head" in printed
    drawn = pd.read_csv(out / "figures" / "class_angles.csv")
    assert len(drawn) == 20
    assert drawn["nc2_mean_angle_deg"].mean() == pytest.approx(93, abs=4)
    assert drawn["nc2_mean_angle_raw_deg"].mean() < 90


def test_collapse_is_put_beside_map_over_runs_and_epochs(out: Path) -> None:
    study("nc_vs_map", out, "--jobs", "0", "--only", "mlc_nc", "erm")
    runs = pd.read_csv(out / "tables" / "nc_vs_map_over_runs.csv")
    assert set(runs["kind"]) == {"all runs", "inside variants"}
    assert runs["n"].tolist() == [2, 0] * (len(runs) // 2), "no variant has a second seed"
    assert len(pd.read_csv(out / "tables" / "nc_vs_map_epochs.csv")) == 2 * 2 * 3 * 4
    assert (out / "figures" / "nc_vs_map.png").exists()


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_short_and_tells_how_long_it_takes(name: str) -> None:
    source = (ANALYSIS / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    assert "minutes on two cores" in source.replace("\n", " ")
    assert f"{name}.py" in (ANALYSIS / "README.md").read_text(encoding="utf-8")


def benchmark(name: str, *arguments: str, stderr: int | None = None) -> str:
    """Run a benchmark in a process of its own: it changes the number of threads."""
    environment = {key: value for key, value in os.environ.items() if key != "PEERS"}
    environment["PYTHONPATH"] = str(ANALYSIS.parent)
    command = [sys.executable, str(ANALYSIS / "benchmarks" / name), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
    return done.stdout


def test_the_benchmark_of_the_metrics_finds_nctools_exact_and_writes_its_tables(tmp_path: Path) -> None:
    benchmark("nc_metrics.py", "--quick", "--runs", "1", "--out", str(tmp_path))
    table = pd.read_csv(tmp_path / "nc_metrics.csv").set_index("way")
    errors = table.filter(like="error: ")
    assert errors.shape[1] == 3
    assert errors.loc[["nctools", "two-pass D x D, float64"]].to_numpy().max() < 1e-9
    assert table["error: sigma 1"].max() < 1e-3
    assert table["cpu_seconds"].min() > 0
    assert table["ratio_to_nctools"]["nctools"] == 1
    assert "two-pass D x D, float64" in (tmp_path / "nc_metrics.md").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux")
def test_the_benchmark_of_the_metrics_measures_memory_in_a_process_of_its_own() -> None:
    extra = float(benchmark("nc_metrics.py", "--cases", "quick", "--memory-of", "two-pass D x D"))
    assert 0 <= extra < 200


def test_the_benchmark_of_many_classes_reads_its_stream_twice_and_finds_the_expected_value() -> None:
    printed = benchmark("many_classes.py", "--pairs", "40000", "--classes", "2000", "--width", "16")
    lines = {line[:20].strip(): line[20:].split() for line in printed.splitlines()}
    assert lines["passes"] == ["2"]
    value, expected = float(lines["nc1_pinv"][0]), float(lines["nc1_pinv"][2].strip(")"))
    assert value == pytest.approx(expected, rel=0.02)


def test_the_benchmark_of_extraction_prints_a_table_for_each_part() -> None:
    printed = benchmark("extraction.py", "--quick", "--parts", "size", "class", "forward")
    tables = [
        [line.split(" | ") for line in part.splitlines()] for part in printed.split("\n\n") if part.startswith("|")
    ]
    assert [len(table) for table in tables] == [4, 6, 6]
    sizes = {row[0].strip("| "): float(row[2]) for row in tables[0][2:]}
    # 20 classes, 2.9 labels an image, 64 numbers of 4 bytes; ids and labels come on top.
    assert sizes["all"] == pytest.approx(20 * 64 * 4 / 1e3, rel=0.2)
    assert 2.9 * 64 * 4 / 1e3 < sizes["positive"] < 0.5 * sizes["all"]


def test_the_benchmark_of_a_step_finds_the_loops_equal_and_writes_its_tables(tmp_path: Path) -> None:
    printed = benchmark("mlc_nc_step.py", "--quick", "--runs", "1", "--out", str(tmp_path))
    steps, parts = pd.read_csv(tmp_path / "mlc_nc_steps.csv"), pd.read_csv(tmp_path / "mlc_nc_parts.csv")
    assert steps["way"].tolist() == ["nctools", "loops", "nctools, paper variant", "linear head, BCE", "floor"]
    assert steps["difference"].max() < 1e-5
    assert steps["milliseconds"].min() > 0
    assert len(parts) == 5
    assert parts["difference"].max() < 1e-5
    assert "| 5 | class-wise projection |" in printed


def test_the_benchmark_of_a_step_with_its_backbone_compares_with_the_bare_one() -> None:
    printed = benchmark("mlc_nc_step.py", "--quick", "--full-step", "--runs", "1")
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| cpu")]
    assert [row[1] for row in rows if row[-1] == "100.0 |"] == ["bare backbone", "bare backbone"]
    assert len(rows) == 6


def test_the_benchmark_of_a_step_says_that_there_is_no_cuda_device() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        benchmark("mlc_nc_step.py", "--device", "cuda", stderr=subprocess.PIPE)
    assert "torch sees no CUDA device" in stopped.value.stderr


@pytest.mark.slow
def test_the_benchmark_of_the_data_pipeline_times_the_loader_and_its_stages(tmp_path: Path) -> None:
    printed = benchmark("data_pipeline.py", "--quick", "--out", str(tmp_path))
    assert "| photographs | loader, 2 workers |" in printed
    for name, rows in {"digits": 3, "photographs": 5, "stages": 6}.items():
        table = pd.read_csv(tmp_path / f"data_pipeline_{name}.csv")
        assert len(table) == rows
        assert table["cpu_ms_an_image"].min() > 0


def test_the_benchmark_of_average_precision_finds_the_ways_to_agree(tmp_path: Path) -> None:
    benchmark("average_precision.py", "--quick", "--out", str(tmp_path))
    table = pd.read_csv(tmp_path / "average_precision.csv")
    assert table["case"].nunique() == 2
    assert table.groupby("case")["way"].count().tolist() == [2, 4]
    assert table.loc[table["way"] == "nctools", "difference"].max() < 1e-12
    assert table["difference"].max() < 0.02  # the loop ranks ties one by one, torchmetrics sums in float32
    assert "one call per image" in (tmp_path / "average_precision.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_benchmark_of_the_embedding_runs_each_way_in_a_process_of_its_own(tmp_path: Path) -> None:
    benchmark("embedding.py", "--quick", "--out", str(tmp_path))
    table = pd.read_csv(tmp_path / "embedding.csv").set_index("way")
    assert table["kept_neighbours"].min() > 0.2
    assert table["cpu_ratio"]["nctools"] == 1
    assert "umap-learn" in (tmp_path / "embedding.md").read_text(encoding="utf-8")
