"""What there is, what it means, and what happens to a wrong name."""

from __future__ import annotations

import json

import pytest

from nctools.collapse.catalogue import METRICS, OVER_LAYERS, SYMBOLS
from nctools.losses.catalogue import LOSSES
from nctools.methods.catalogue import METHODS
from tests.cli.conftest import Command


def fields(text: str) -> dict[str, str]:
    """What `explain` says, by label."""
    pairs = (line.strip().split(":", 1) for line in text.splitlines()[1:])
    return {label: value.strip() for label, value in pairs}


def test_methods_are_all_listed_with_their_kind(nctools_command: Command) -> None:
    outcome = nctools_command("methods")
    assert outcome.code == 0
    first_words = [line.split()[:2] for line in outcome.out.splitlines() if line.startswith("  ") and line.strip()]
    listed = {name: kind for name, kind, *_ in (words for words in first_words if len(words) == 2)}
    assert all(listed[name] == row.kind.split()[0] for name, row in METHODS.items())


def test_methods_are_all_listed_as_json(nctools_command: Command) -> None:
    rows = json.loads(nctools_command("methods", "--json", "-").out)["methods"]
    assert [row["name"] for row in rows] == list(METHODS)
    assert {row["name"]: row["kind"] for row in rows if row["kind"] != "loss"} == {
        "erm": "baseline",
        "rs": "sampling",
        "pseudo_label": "two stages",
        "lws": "two stages",
        "class_attention": "head",
        "mlc_nc": "collapse",
    }
    assert all(set(row) == {"name", "kind", "title", "source", "summary"} for row in rows)


def test_losses_are_all_listed(nctools_command: Command) -> None:
    outcome = nctools_command("losses")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    assert set(LOSSES) <= set(lines)
    assert "class counts, number of images" in lines["db_focal"]
    assert "class-aware" in lines["db_focal"]
    assert "class counts, pair counts" in lines["mfm_prior"]


def test_losses_are_all_listed_as_json(nctools_command: Command) -> None:
    rows = {row["name"]: row for row in json.loads(nctools_command("losses", "--json", "-").out)["losses"]}
    assert list(rows) == list(LOSSES)
    assert (rows["db"]["method"], rows["r_bce"]["method"]) == ("db", None)
    assert rows["db"]["settings_for"] == {"voc_lt": {"mu": 0.3, "lambd": 5.0}, "coco_lt": {"mu": 0.2, "lambd": 2.0}}
    assert rows["mfm_prior"]["needs"] == ["class_counts", "cooccurrence"]
    assert rows["asl"]["reduction"] == "sum"


def test_metrics_are_all_listed_by_symbol(nctools_command: Command) -> None:
    outcome = nctools_command("metrics")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    titles = [line.partition(":")[0] for line in lines if line.endswith("(nctools explain ID)")]
    assert titles == list(SYMBOLS)
    words = {line.split()[0] for line in lines if line.strip()}
    assert {*METRICS, *OVER_LAYERS} <= words


def test_metrics_are_all_listed_as_json(nctools_command: Command) -> None:
    outcome = nctools_command("metrics", "--json", "-")
    document = json.loads(outcome.out)
    assert document["metrics"] == [metric.definition() for metric in METRICS.values()]
    assert [row["id"] for row in document["over_layers"]] == ["effective_depth"]
    fields = {"id", "symbol", "title", "formula", "source", "limit", "direction", "needs", "cost", "aggregator"}
    assert all(set(row) == fields | {"settings", "kinds"} for row in document["metrics"])


@pytest.mark.parametrize("name", [*METRICS, *OVER_LAYERS, *LOSSES, *METHODS, "mlc-nc", "DB-Focal"])
def test_everything_can_be_explained(name: str, nctools_command: Command) -> None:
    outcome = nctools_command("explain", name)
    assert outcome.code == 0
    assert "source" in outcome.out


def test_a_metric_is_explained_with_every_field(nctools_command: Command) -> None:
    lines = nctools_command("explain", "nc1_vci").out.splitlines()
    assert lines[0].startswith("nc1_vci  ")
    explained = dict(line.strip().split(":", 1) for line in lines[1:])
    labels = ["formula", "at collapse", "source", "group value", "needs", "cost", "settings", "features"]
    assert list(explained) == labels
    metric = METRICS["nc1_vci"]
    assert explained["needs"].strip() == "class means, second pass, D x D scatter"
    assert explained["cost"].strip() == metric.cost
    assert explained["settings"].strip() == ", ".join(metric.settings)
    assert explained["features"].strip() == "single, classwise, shared"


def test_a_loss_is_explained_with_every_field(nctools_command: Command) -> None:
    text = nctools_command("explain", "nt-bce").out
    assert text.startswith("nt_bce  NT-BCE  (loss)")
    explained = fields(text)
    labels = ["what it does", "formula", "where", "source", "made from", "sampling", "reduction", "settings"]
    assert list(explained) == [*labels, "on voc_lt", "on coco_lt", "in Python"]
    assert explained["formula"] == LOSSES["nt_bce"].formula
    assert "n_c positives of class c" in explained["where"]
    assert (explained["made from"], explained["sampling"]) == ("class counts, number of images", "any")
    assert explained["settings"].startswith(
        "rebalance = false, alpha = 0.1, beta = 10, mu = 0.3, lambd = 2, kappa = 0.05"
    )
    assert explained["on voc_lt"] == "lambd = 5"
    assert explained["in Python"].startswith("nctools.losses.distribution_balanced_loss, nctools.losses.build('nt_bce'")


def test_a_name_of_a_loss_and_a_method_explains_both(nctools_command: Command) -> None:
    loss, _, method = nctools_command("explain", "db_focal").out.partition("\n\n")
    assert loss.startswith("db_focal  DB-Focal  (loss)")
    assert method.startswith("db_focal  DB-Focal  (method)")
    assert fields(method)["parts"] == METHODS["db_focal"].summary
    assert fields(method)["train"].startswith("nctools train db_focal --dataset NAME")
    assert "(loss)" not in nctools_command("explain", "mlc_nc").out
    assert "(method)" not in nctools_command("explain", "kpos").out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("lws", "arguments:    rescaling_epochs = 5, rescaling_lr = 0.01"),
        ("pseudo_label", "arguments:    threshold = 0.5"),
        ("rs", "arguments:    none of its own"),
        ("asl", "settings:     gamma_neg = 4, gamma_pos = 0, clip = 0.05, eps = null, detach_focal_weight = true"),
        ("two_way", "settings:     temperature = 4, temperature_negative = 1"),
    ],
)
def test_settings_and_arguments_are_explained_with_their_defaults(
    name: str, line: str, nctools_command: Command
) -> None:
    text = nctools_command("explain", name).out
    assert line in text
    assert "network:      backbone, pretrained, head" in text
    assert text.rstrip().splitlines()[-2].endswith("(nctools explain erm)")


def test_a_method_with_a_network_of_its_own_lists_all_its_arguments(nctools_command: Command) -> None:
    assert fields(nctools_command("explain", "erm").out)["arguments"].startswith("backbone = resnet50, ")
    explained = fields(nctools_command("explain", "mlc_nc").out)
    assert "fpc_temperature = 0.5, loss = two_way, loss_settings = null" in explained["arguments"]
    assert "network" not in explained


def test_effective_depth_is_explained(nctools_command: Command) -> None:
    outcome = nctools_command("explain", "effective_depth")
    assert outcome.code == 0
    assert "1 - nc4_ncc_accuracy <= eps" in outcome.out


def test_another_name_is_explained_as_the_metric_it_is(nctools_command: Command) -> None:
    assert nctools_command("explain", "nc2_max_angle_w").out.startswith("nc2_angle_deviation_w  ")


def test_explaining_an_unknown_name_lists_near_misses(nctools_command: Command) -> None:
    outcome = nctools_command("explain", "nc1_pinf")
    assert (outcome.code, outcome.out) == (2, "")
    assert "unknown metric, loss or method 'nc1_pinf'; did you mean nc1_pinv" in outcome.err
    assert outcome.err.count("\n") == 1
    assert "did you mean db_focal or cb_focal" in nctools_command("explain", "db_focla").err


def test_version_and_help(nctools_command: Command) -> None:
    assert nctools_command("--version").out.startswith("nctools ")
    outcome = nctools_command("--help")
    assert outcome.code == 0
    for command in ("demo", "train", "extract", "measure", "evaluate", "plot", "data", "explain", "doctor"):
        assert command in outcome.out


def test_an_unknown_command_is_wrong_usage(nctools_command: Command) -> None:
    assert nctools_command("mesure").code == 2


def test_doctor_finds_no_problem_here(nctools_command: Command) -> None:
    outcome = nctools_command("doctor", "--json", "-")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert report["problems"] == []
    assert report["torchvision"].startswith(("ok", "works through the import guard"))


def test_doctor_fails_when_a_library_is_missing(nctools_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nctools.cli.doctor.REQUIRED", ("torch", "no_such_library"))
    outcome = nctools_command("doctor")
    assert outcome.code == 4
    assert "problem: no_such_library is missing: pip install no_such_library" in outcome.out


def test_a_library_that_is_not_installed_gives_its_install_line(
    nctools_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nctools.data.loading", None)
    outcome = nctools_command("data", "describe", "digits_lt")
    assert outcome.code == 5
    assert "pip install" in outcome.err


def test_an_internal_error_is_one_line(nctools_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("nctools.data.loading.open_dataset", broken)
    outcome = nctools_command("data", "describe", "digits_lt")
    assert outcome.code == 1
    assert outcome.err == "internal error: RuntimeError: two lines (traceback: nctools --debug ...)\n"
