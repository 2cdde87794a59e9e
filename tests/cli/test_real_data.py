"""Photographs on disk, in the layouts that users have: every command on small trees with the real schema."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nctools.data.published.draws import published_draw
from nctools.data.published.facts import PUBLISHED_SPLITS, Draw, PublishedSplit, id_digest
from nctools.data.sets.voc import voc_annotations
from nctools.features.store import FeatureStore
from nctools.methods.checkpoint import load_checkpoint
from tests.cli.conftest import Command
from tests.data.coco_tree import make_coco_tree
from tests.data.odir_tree import make_odir_tree
from tests.data.vg_tree import make_vg_tree
from tests.data.voc_tree import make_voc_tree

SMALL = ("--backbone", "small", "--epochs", "1", "--set", "batch_size=8", "--set", "preprocessing.image_size=32")


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voc")
    make_voc_tree(root, num_train=60, num_test=30)
    return root


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco")
    make_coco_tree(root)
    return root


@pytest.fixture(scope="module")
def vg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vg")
    make_vg_tree(root)
    return root


@pytest.fixture(scope="module")
def odir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odir")
    make_odir_tree(root)
    return root


@pytest.mark.parametrize(("name", "classes"), [("voc", 20), ("coco", 80), ("vg200", 200), ("odir5k", 8)])
def test_each_layout_is_described_trained_extracted_measured_and_evaluated(
    name: str,
    classes: int,
    request: pytest.FixtureRequest,
    nctools_command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    root = request.getfixturevalue({"vg200": "vg", "odir5k": "odir"}.get(name, name))
    before = sorted(str(path) for path in root.rglob("*"))

    described = nctools_command("data", "describe", name, "--data-root", root, "--json", "-")
    facts = json.loads(described.out)
    assert len(facts["class_counts"]) == classes, described.err
    trained = nctools_command("train", "erm", "--dataset", name, "--data-root", root, *SMALL, "--out", "run")
    assert trained.code == 0, trained.err
    # The checkpoint knows data set and folder.
    extracted = nctools_command("extract", "run/checkpoints/last.pt", "--out", "train.h5")
    assert extracted.code == 0, extracted.err
    store = FeatureStore("train.h5")
    assert (len(store), len(store.classes)) == (facts["num_images"], classes)
    measured = nctools_command("measure", "run/checkpoints/last.pt", "--metrics", "nc1_pinv", "--json", "-")
    assert measured.code == 0, measured.err
    evaluated = nctools_command("evaluate", "run/checkpoints/last.pt", "--json", "-")
    assert evaluated.code == 0, evaluated.err
    test = json.loads(
        nctools_command("data", "describe", name, "--data-root", root, "--split", "test", "--json", "-").out
    )
    assert json.loads(evaluated.out)["weights"]["raw"]["num_images"] == test["num_images"]
    assert test["groups"] == facts["groups"]
    # Nothing is ever written among the user's data.
    assert sorted(str(path) for path in root.rglob("*")) == before


def test_groups_of_a_file_name_classes_whatever_is_measured(
    voc: Path, nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("groups.json").write_text('{"pets": ["cat", "dog"], "people": ["person"]}', encoding="utf-8")
    trained = nctools_command("train", "erm", "--dataset", "voc", "--data-root", voc, *SMALL, "--out", "run")
    assert trained.code == 0, trained.err
    checkpoint = "run/checkpoints/last.pt"
    assert nctools_command("extract", checkpoint, "--out", "train.h5").code == 0
    own = ("--data", next(voc.rglob("VOC2012")))
    for measured in ([checkpoint], [checkpoint, *own], ["train.h5"]):
        outcome = nctools_command(
            "measure", *measured, "--groups", "groups.json", "--metrics", "nc1_pinv", "--json", "-"
        )
        assert outcome.code == 0, outcome.err
        assert outcome.err.count("note: groups.json puts no group around aeroplane") == 1
        per_class = json.loads(outcome.out)["results"][0]["per_class"]
        assert {(row["class_index"], row["group"]) for row in per_class if row["group"]} == {
            (7, "pets"), (11, "pets"), (14, "people")
        }  # fmt: skip
    Path("groups.json").write_text('{"pets": ["cat", "dgo"]}', encoding="utf-8")
    refused = nctools_command("measure", checkpoint, "--groups", "groups.json")
    assert refused.code == 3
    assert "did you mean dog" in refused.err


def test_missing_images_and_folders_are_named(voc: Path, nctools_command: Command, tmp_path: Path) -> None:
    missing = nctools_command("data", "describe", "voc_lt")
    assert missing.code == 3
    assert "--data-root DIR" in missing.err
    nowhere = nctools_command("data", "describe", "voc_lt", "--data-root", tmp_path / "nowhere")
    assert nowhere.code == 3
    assert "nowhere, the data root of voc_lt, does not exist: give --data-root DIR" in nowhere.err
    assert "or set NCTOOLS_DATA_ROOT" in nowhere.err
    unknown = nctools_command("data", "describe", "voc_tl", "--data-root", voc)
    assert unknown.code in {2, 3}
    assert "did you mean voc_lt" in unknown.err
    short = nctools_command("data", "describe", "voc_lt", "--data-root", voc)
    assert short.code == 3
    assert "60 images were given, but VOC2012 trainval has 11540" in short.err
    validation = nctools_command("data", "describe", "voc", "--data-root", voc, "--split", "validation")
    assert validation.code == 3
    assert "val_fraction" in validation.err


def test_the_environment_names_the_data_root(
    voc: Path, nctools_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCTOOLS_DATA_ROOT", str(voc))
    assert json.loads(nctools_command("data", "describe", "voc", "--json", "-").out)["num_images"] == 60


def test_a_checkpoint_finds_moved_data_and_tells_other_data_apart(
    nctools_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    make_voc_tree(tmp_path / "a", num_train=40, num_test=20)
    make_voc_tree(tmp_path / "other", num_train=30, num_test=20)
    trained = nctools_command("train", "erm", "--dataset", "voc", "--data-root", "a", *SMALL, "--out", "run")
    assert trained.code == 0, trained.err
    checkpoint = tmp_path / "run" / "checkpoints" / "last.pt"
    scored = nctools_command("evaluate", checkpoint)
    assert "scoring: 100 % (20 of 20 images)" in scored.err
    assert "here (" not in scored.err
    quiet = nctools_command("evaluate", checkpoint, "--quiet")
    assert (quiet.out, [line[:5] for line in quiet.err.splitlines()]) == (scored.out, ["note:"])
    ours = sum(load_checkpoint(checkpoint).class_counts)
    for command in (("evaluate",), ("measure", "--metrics", "nc1_pinv")):  # on the test images too
        other = nctools_command(*command, checkpoint, "--data-root", "other")
        assert other.code == 0, other.err
        assert f"those that the model was trained on {ours} (" in other.err
        chosen = nctools_command(*command, checkpoint, "--data-settings", "difficult=exclude", "--split", "train")
        assert "trained on" not in chosen.err
    (tmp_path / "a").rename(tmp_path / "b")
    lost = nctools_command("evaluate", checkpoint)
    assert lost.code == 3
    assert "does not exist: give --data-root DIR (root=... in Python), or set NCTOOLS_DATA_ROOT" in lost.err
    monkeypatch.setenv("NCTOOLS_DATA_ROOT", str(tmp_path / "b"))
    found = nctools_command("evaluate", checkpoint)
    assert (found.code, found.out) == (0, scored.out), found.err
    assert f"a, where the model was trained, does not exist: NCTOOLS_DATA_ROOT is taken, {tmp_path / 'b'}" in found.err


def _planted(monkeypatch: pytest.MonkeyPatch, root: Path) -> PublishedSplit:
    # What the released draw gives on the small tree, entered as if it were VOC-LT.
    pool = voc_annotations(root, "2012", "trainval")
    draw = Draw(alpha=6, n_max=20, n_min=2)
    unchecked = PublishedSplit("voc_lt", "VOC-LT", "voc", 0, 0, (0, 0, 20), draw, None, (0, 0), None)
    rows = _released(pool.labels, draw)
    ids, labels = [pool.ids[row] for row in rows], pool.labels[rows]
    counts = tuple(int(count) for count in labels.sum(axis=0))
    sizes = (sum(n >= 100 for n in counts), sum(20 <= n < 100 for n in counts), sum(n < 20 for n in counts))
    facts = PublishedSplit(
        "voc_lt", "VOC-LT", "voc", len(ids), int(labels.sum()), sizes, draw, counts, (max(counts), min(counts)),
        id_digest(ids),
    )  # fmt: skip
    assert unchecked.draw == facts.draw
    monkeypatch.setitem(PUBLISHED_SPLITS, "voc_lt", facts)
    return facts


def _released(labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], draw: Draw) -> list[int]:
    from nctools.data.long_tail import build_long_tail

    tail = build_long_tail(labels, alpha=draw.alpha, n_max=draw.n_max, n_min=draw.n_min, draw="released")
    return [int(row) for row in tail.indices]


@pytest.mark.filterwarnings("ignore")
def test_published_set_is_drawn_again_and_its_ids_are_checked(
    voc: Path, nctools_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    facts = _planted(monkeypatch, voc)
    pool = voc_annotations(voc, "2012", "trainval")
    drawn, _ = published_draw(facts, pool.ids, pool.labels)
    described = nctools_command("data", "describe", "VOC-MLT", "--data-root", voc, "--json", "-")
    assert described.code == 0, described.err
    assert json.loads(described.out)["num_images"] == len(drawn.indices) == facts.num_images
    # With the authors' list of ids beside the images, that list is taken; it gives the same set.
    ids = [pool.ids[row] for row in drawn.indices]
    (tmp_path / "img_id.txt").write_text("".join(f"{name}\n" for name in ids))
    imported = nctools_command("data", "import", "img_id.txt", "--name", "voc_lt", "--data-root", voc, "-o", "lt.json")
    assert imported.code == 0, imported.err
    again = nctools_command("data", "describe", "lt.json", "--data-root", voc, "--json", "-")
    assert json.loads(again.out)["class_counts"] == json.loads(described.out)["class_counts"]


@pytest.mark.filterwarnings("ignore:sampling by class skips")
def test_long_tail_is_built_trained_and_measured_from_one_split_file(
    voc: Path, nctools_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    build = ("data", "build", "--from", "voc", "--data-root", voc, "--max", "20", "--min", "2", "-o", "split.json")
    built = nctools_command(*build, "--drop-labels", "0.4", "--figure", "split.png", "--json", "report.json")
    assert built.code == 0, built.err
    report = json.loads(Path("report.json").read_text())
    assert report["targets"] == json.loads(Path("split.json").read_text())["made_by"]["targets"]
    assert 0 < report["dropped_labels"] < 0.4
    assert Path("split.png").stat().st_size > 10_000
    assert nctools_command(*build).code == 3  # not overwritten
    described = json.loads(nctools_command("data", "describe", "split.json", "--data-root", voc, "--json", "-").out)
    assert described["class_counts"] == report["class_counts"]
    assert described["missing_labels"] == pytest.approx(report["dropped_labels"])
    settings = ("--data-settings", "val_fraction=0.2,difficult=ignore,groups=5,3")
    run = nctools_command("train", "mlc_nc", "--dataset", "split.json", "--data-root", voc, *SMALL, *settings,
                          "--set", "warmup_epochs=0", "--out", "run")  # fmt: skip
    assert run.code == 0, run.err
    assert "val/mAP" in Path("run/metrics.csv").read_text()
    checkpoint = load_checkpoint("run/checkpoints/best.pt")
    assert checkpoint.data_settings["difficult"] == "ignore"
    assert checkpoint.dataset == str(tmp_path / "split.json")
    rule = ("measure", "run/checkpoints/best.pt", "--metrics", "nc1_pinv", "--groups", "quantiles:0.2,0.5")
    table = nctools_command(*rule, "--json", "-")
    assert table.code == 0, table.err
    rows = json.loads(table.out)["results"][0]["per_class"]
    head = {row["class_index"] for row in rows if row["group"] == "head"}
    counts = checkpoint.class_counts
    assert 0 < len(head) <= 4  # classes with equal counts are not divided
    assert min(counts[c] for c in head) > max(n for c, n in enumerate(counts) if c not in head)
    monkeypatch.chdir("/")  # a checkpoint is used from anywhere
    evaluated = nctools_command("evaluate", tmp_path / "run/checkpoints/best.pt")
    assert evaluated.code == 0, evaluated.err
    assert "difficult=ignore" in evaluated.err


@pytest.mark.parametrize("form", ["csv", "coco", "folder", "voc"])
def test_own_data_of_each_form_are_trained_on(
    form: str, voc: Path, coco: Path, nctools_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    source = {"csv": _csv, "coco": _coco_json, "voc": _voc_folder, "folder": _class_folders}[form](voc, coco, tmp_path)
    validated = nctools_command("data", "validate", *source, "--json", "-")
    assert validated.code == 0, validated.out
    path, *root = source
    trained = nctools_command("train", "erm", "--data", path, *root, *SMALL, "--out", "run", "--nc-every", "0")
    assert trained.code == 0, trained.err
    evaluated = nctools_command("evaluate", "run/checkpoints/last.pt", "--split", "train", "--json", "-")
    assert evaluated.code == 0, evaluated.err
    if form == "voc":  # its own list train.txt has half of the images, not every class among them
        refused = nctools_command("data", "build", "--from", path, "-o", "long.json")
        assert refused.code == 3
        assert "no image among 30 holds class 5 ('bus')" in refused.err
        return
    built = nctools_command("data", "build", "--from", path, *root, "--max", "6", "--min", "1", "-o", "long.json")
    assert built.code == 0, built.err
    described = nctools_command("data", "describe", "long.json", *root, "--json", "-")
    assert described.code == 0, described.err


Source = list[str | Path]


def _csv(voc: Path, coco: Path, folder: Path) -> Source:
    pool = voc_annotations(voc, "2012", "trainval")
    lines = [",".join(["image", *pool.class_names])]
    lines += [",".join([file, *map(str, row)]) for file, row in zip(pool.files, pool.labels.tolist(), strict=True)]
    (folder / "labels.csv").write_text("\n".join(lines))
    return [folder / "labels.csv", "--data-root", pool.root]


def _coco_json(voc: Path, coco: Path, folder: Path) -> Source:
    found = next(coco.rglob("instances_train2017.json"))
    return [found, "--data-root", next(coco.rglob("train2017"))]


def _voc_folder(voc: Path, coco: Path, folder: Path) -> Source:
    return [next(voc.rglob("VOC2012"))]  # its trainval list is the training set


def _class_folders(voc: Path, coco: Path, folder: Path) -> Source:
    pool = voc_annotations(voc, "2012", "trainval")
    for file, row in zip(pool.paths, pool.labels, strict=True):
        target = folder / "photos" / pool.class_names[int(row.argmax())] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return [folder / "photos"]


def test_published_groups_of_visual_genome_win(vg: Path, nctools_command: Command, tmp_path: Path) -> None:
    from_counts = json.loads(nctools_command("data", "describe", "vg200", "--data-root", vg, "--json", "-").out)
    groups = {"head": [], "middle": [0, 199], "tail": list(range(1, 199))}
    split = vg / "class_split.pkl"
    split.write_bytes(pickle.dumps(groups))
    try:
        outcome = nctools_command("data", "describe", "vg200", "--data-root", vg, "--json", "-")
    finally:
        split.unlink()
    found = json.loads(outcome.out)
    assert outcome.code == 0, outcome.err
    assert found["groups"] == {"head": [], "medium": [0, 199], "tail": list(range(1, 199))} != from_counts["groups"]
    assert "by the counts" in outcome.err


def test_data_settings_of_a_checkpoint_hold_however_its_data_are_named(
    nctools_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(24):
        path = tmp_path / "own" / ("cat" if number % 3 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), 9 * number, dtype=np.uint8)).save(path)
    (tmp_path / "groups.json").write_text('{"pets": ["cat", "dog"]}', encoding="utf-8")
    built = nctools_command("data", "build", "--from", "own", "--max", "16", "--alpha", "90", "-o", "split.json")
    assert built.code == 0, built.err
    chosen = ("--data-settings", "val_fraction=0.25,groups=groups.json")
    trained = nctools_command("train", "erm", "--dataset", "split.json", *chosen, *SMALL, "--out", "run")
    assert trained.code == 0, trained.err
    checkpoint = tmp_path / "run" / "checkpoints" / "last.pt"
    assert load_checkpoint(checkpoint).groups == {"pets": [0, 1]}

    def extracted(*options: str) -> FeatureStore:
        done = nctools_command("extract", checkpoint, *options, "--out", tmp_path / "f.h5", "--force")
        assert done.code == 0, done.err
        return FeatureStore(tmp_path / "f.h5")

    ids = extracted().ids
    assert len(ids) < len(json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))["images"])
    assert extracted("--dataset", "split.json").ids == ids
    assert extracted("--data-settings", "groups=3,2").groups != {"pets": [0, 1]}
    # The checkpoint has the groups: their file is not needed.
    (tmp_path / "groups.json").unlink()
    monkeypatch.chdir("/")
    assert extracted().groups == {"pets": [0, 1]}
    assert len(extracted("--data", str(tmp_path / "own"))) == 24
    assert len(extracted("--data", str(tmp_path / "own"), "--data-settings", "val_fraction=0.25")) == 18
    code = ("--data", "tests.cli.test_real_data:nothing", "--data-settings", "val_fraction=0.25")
    refused = nctools_command("extract", checkpoint, *code, "--out", tmp_path / "g.h5")
    assert refused.code == 3
    assert "data settings (val_fraction) are for data sets with a name" in refused.err
