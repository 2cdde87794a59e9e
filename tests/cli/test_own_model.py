"""Models and data of other programs: each is measured in one command, or in five lines of Python."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from nctools._torchvision_guard import import_torchvision
from tests.cli.conftest import Command

import_torchvision()
import lightning.pytorch as pl  # noqa: E402
import timm  # noqa: E402
import torchvision  # noqa: E402

CLASSES = ("ant", "bee", "cow", "dog")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy images of each of four classes, 40 x 48 px."""
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (root / "train" / name).mkdir(parents=True)
        for image in range(6):
            pixels = generator.integers(0, 120, (40, 48, 3)) + 40 * np.eye(4, 3)[index].astype(int)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "train" / name / f"{image}.png")
    return root


def images_by_hand(root: Path, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """All images of the folder, resized and cropped by torchvision on PIL images; and their classes."""
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.Resize(round(size / 0.875), v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(size),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
        ]
    )
    data = torchvision.datasets.ImageFolder(str(root), transform=transform)
    return torch.stack([image for image, _ in data]), torch.tensor(data.targets)


def nc1_of(csv: Path) -> float:
    """The value of nc1_quotient over all classes in a tidy table."""
    import pandas as pd

    table = pd.read_csv(csv)
    return float(table[(table["metric"] == "nc1_quotient") & (table["group"] == "all")]["value"].iloc[0])


def test_a_resnet_of_timm_on_a_folder_of_images(nctools_command: Command, photos: Path, tmp_path: Path) -> None:
    model: Any = timm.create_model("resnet18", num_classes=4).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    outcome = nctools_command(
        "measure", tmp_path / "weights.pth", "--model", "timm:resnet18", "--data", photos, "--image-size", 32,
        "--csv", tmp_path / "nc.csv",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "features: global_pool (512); classifier: fc (4 x 512)" in outcome.err
    config = model.pretrained_cfg
    images, labels = images_by_hand(photos / "train", 32, config["mean"], config["std"])
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
    expected = nctools.measure(features, labels, model.fc.weight, model.fc.bias).to_dict()["all"]
    assert nc1_of(tmp_path / "nc.csv") == pytest.approx(expected["nc1_quotient"], rel=0.02)  # resized by another path


def test_a_torchvision_model_with_a_bare_state_dict(nctools_command: Command, photos: Path, tmp_path: Path) -> None:
    model = torchvision.models.resnet18(weights=None, num_classes=4).eval()
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    outcome = nctools_command(
        "measure", tmp_path / "w.pt", "--model", "torchvision:resnet18", "--data", photos, "--image-size", 32
    )
    assert outcome.code == 0, outcome.err
    assert "classifier: fc (4 x 512)" in outcome.err
    assert "nc3_self_duality" in outcome.out


def test_a_vision_transformer(nctools_command: Command, photos: Path, tmp_path: Path) -> None:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=4, img_size=32)
    torch.save(model.state_dict(), tmp_path / "vit.pt")
    common = (
        tmp_path / "vit.pt", "--model", "timm:vit_tiny_patch16_224", "--model-args", "img_size=32", "--data", photos,
        "--image-size", 32,
    )  # fmt: skip
    outcome = nctools_command("measure", *common)
    assert outcome.code == 0, outcome.err
    assert "classifier: head (4 x 192)" in outcome.err
    layers = ("--layers", "block=blocks.11:output", "--out", tmp_path / "block.h5")
    refused = nctools_command("extract", *common, *layers)
    assert refused.code == 3
    assert "--tokens" in refused.err
    taken = nctools_command("extract", *common, *layers, "--tokens", "patches")
    assert taken.code == 0, taken.err
    assert nctools.FeatureStore(tmp_path / "block.h5").num_features("block") == 192


MY_MODULE = """
    import lightning.pytorch as pl
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset


    class Lit(pl.LightningModule):
        def __init__(self, width=16):
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)


    def data(n=60):
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(n) % 3
        inputs = torch.randn(n, 8, generator=generator) + torch.eye(3, 8)[labels]
        return DataLoader(TensorDataset(inputs, labels), batch_size=16)


    def mlp(width=12):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
"""


@pytest.fixture
def my_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's own in the working folder."""
    name = f"mine_{abs(hash(tmp_path)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MY_MODULE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Path(name)


@pytest.mark.filterwarnings("ignore:The .train_dataloader. does not have many workers")
@pytest.mark.filterwarnings("ignore:GPU available")
def test_a_lightning_module(nctools_command: Command, my_module: Path, tmp_path: Path) -> None:
    import importlib

    mine = importlib.import_module(my_module.name)
    module, loader = mine.Lit(width=10), mine.data()
    trainer = pl.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module, loader)
    trainer.save_checkpoint(tmp_path / "lit.ckpt")
    outcome = nctools_command(
        "measure", tmp_path / "lit.ckpt", "--model", f"{my_module}:Lit", "--data", f"{my_module}:data",
        "--csv", tmp_path / "nc.csv",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "features: net.1 (10); classifier: net.2 (3 x 10)" in outcome.err
    with torch.no_grad():
        features, labels = module.net[:2](loader.dataset.tensors[0]), loader.dataset.tensors[1]
    expected = nctools.measure(features, labels).to_dict()["all"]["nc1_quotient"]
    assert nc1_of(tmp_path / "nc.csv") == pytest.approx(expected, rel=1e-5)


def test_an_mlp_on_tables_in_one_command_without_a_file(nctools_command: Command, my_module: Path) -> None:
    outcome = nctools_command(
        "measure", "--model", f"{my_module}:mlp", "--model-args", "width=9", "--data", f"{my_module}:data",
        "--data-args", "n=30",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "random weights" in outcome.err
    assert "(3 x 9)" in outcome.err


def test_an_mlp_in_five_lines() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    inputs = torch.randn(60, 8, generator=generator)
    classifier = nn.Linear(12, 3)
    model = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), classifier)
    result = nctools.measure(model, DataLoader(TensorDataset(inputs, labels), batch_size=16))
    with torch.no_grad():
        expected = nctools.measure(model[:2](inputs), labels, classifier.weight, classifier.bias)
    assert result.to_dict()["all"] == pytest.approx(expected.to_dict()["all"], rel=1e-5, nan_ok=True)


def test_multi_label_data_from_a_table(nctools_command: Command, photos: Path, tmp_path: Path) -> None:
    lines = ["image,ant,bee,cow,dog"]
    for index, name in enumerate(CLASSES):
        for image in range(6):
            marks = ["1" if column == index or (image == 0 and column == 0) else "0" for column in range(4)]
            lines.append(f"{name}/{image}.png,{','.join(marks)}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    outcome = nctools_command(
        "measure", "--model", "timm:resnet18", "--model-args", "num_classes=4", "--data", tmp_path / "labels.csv",
        "--data-root", photos / "train", "--image-size", 32,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "24 images, 4 classes" in outcome.err


def test_a_checkpoint_asks_for_data_that_were_moved(nctools_command: Command, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in sorted((photos / "train").glob("*/*.png"))]
    table.write_text("\n".join(["image,label", *rows]))
    options = ("--data-root", photos, "--quiet")
    trained = nctools_command(
        "train", "erm", "--data", table, "--backbone", "small", "--epochs", "1", "--out", tmp_path / "run", *options
    )
    assert trained.code == 0, trained.err
    checkpoint = tmp_path / "run/checkpoints/last.pt"
    moved = table.rename(tmp_path / "moved.csv")
    outcome = nctools_command("measure", checkpoint, *options)
    assert outcome.code == 3
    assert f"was trained on {table}, which is not there any more: say where that lies now with --data" in outcome.err
    assert nctools_command("measure", checkpoint, "--data", moved, *options).code == 0


def test_layers_are_listed_with_shapes(nctools_command: Command, photos: Path) -> None:
    outcome = nctools_command(
        "extract", "--model", "timm:resnet18", "--model-args", "num_classes=4", "--data", photos, "--image-size", 32,
        "--list-layers",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    for text in ("layer4.1.conv2", "[2, 512, 1, 1]", "[2, 4]"):
        assert text in outcome.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name a file of weights"),
        (["--model", "timm:resnet19"], 2, "did you mean"),
        (["--model", "timm:resnet18"], 3, "does not tell what data it belongs to"),
        (["--model", "timm:resnet18", "--data", "nowhere"], 3, "nowhere"),
        (["--model", "timm:resnet18", "--dataset", "digits_lt", "--data", "x"], 3, "one of them"),
        (["--model", "nowhere:build", "--dataset", "digits_lt"], 3, "nowhere"),
        (["--model", "timm:resnet18", "--dataset", "digits_lt", "--layers", "fcc:input"], 2, "did you mean fc"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, message: str, nctools_command: Command) -> None:
    outcome = nctools_command("measure", *arguments, "--quiet")
    assert outcome.code == code, outcome.err
    assert message in outcome.err
