"""What the pages of the documentation take as given: features, a model, its data, weights, photographs, trained runs.

Everything is small and made by code, in the working folder. ``given_for`` knows which page needs what.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import nctools
from tests.documented_pages import ROOT, code_blocks

CLASSES = ("ant", "bee", "cow", "dog")
MODULE = """
import torch
import lightning.pytorch as pl
from torch.utils.data import DataLoader, TensorDataset

class LitNet(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))

    def forward(self, images):
        return self.net(images)

def loader():
    return DataLoader(TensorDataset(torch.randn(40, 8), torch.arange(40) % 4), batch_size=10)
"""
Namespace = dict[str, object]


@dataclass(frozen=True)
class SmallRuns:
    """Runs that pages go on from, of one epoch each: trained when a page first asks, then kept for the others.

    Args:
        folder: Where they are kept.
    """

    folder: Path

    def put(self, *names: str) -> None:
        """Copy runs to ``runs/`` of the working folder.

        Args:
            names: ``erm``, or ``mlc_nc`` and ``mlc_nc-s0``, ``mlc_nc-s1``, ... with that seed.
        """
        for name in names:
            method, _, seed = name.partition("-s")
            trained = self.folder / f"{method}-s{seed or 0}"
            if not trained.exists():
                _train(method, int(seed or 0), trained)
            shutil.copytree(trained, Path("runs") / name)


def _train(method: str, seed: int, out: Path) -> None:
    from nctools.training import make_config, train

    short: dict[str, object] = {"epochs": 1, "seed": seed}
    if method == "mlc_nc":
        short |= {"num_features": 32, "warmup_epochs": 0}
    train(make_config(method, "digits_lt", short), out, progress=False)


def given_for(page: str, runs: SmallRuns, *, everything: bool = True) -> Namespace:
    """Make in the working folder what a page takes as given.

    Args:
        page: Path of the page in the repository.
        runs: Trained runs.
        everything: Also what only blocks marked slow need.

    Returns:
        The names that its Python blocks take as given.
    """
    given = _GIVEN[page](runs) if page in _GIVEN else {}
    if everything and page in _SLOW_RUNS:
        runs.put(*_SLOW_RUNS[page])
    return given


class Network(nn.Module):
    """A small convolutional network of 20 classes and 512 features, with the names that the guides use."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.block1 = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(16, 512, 3), nn.ReLU())
        self.fc = nn.Linear(512, 20)

    def body(self, images: Tensor) -> Tensor:
        """Features ``[B, 512]``."""
        maps: Tensor = self.block2(self.block1(self.stem(images)))
        return maps.mean((-2, -1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 20]``."""
        logits: Tensor = self.fc(self.body(images))
        return logits


def _loader(seed: int = 0) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(200, 3, 16, 16, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(200) % 20), batch_size=50)


def _photographs() -> None:
    """Three noisy images of each of four classes, as a folder, and as a table that divides them."""
    generator = np.random.default_rng(0)
    rows = ["image,label,split"]
    for name in CLASSES:
        folder = Path("photos") / "train" / name
        folder.mkdir(parents=True)
        for index in range(3):
            pixels = generator.integers(0, 255, (40, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
            rows.append(f"train/{name}/{index}.png,{name},{'train' if index < 2 else 'test'}")
    Path("photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _foreign_weights() -> None:
    """A state dict of timm's resnet18, a Lightning checkpoint, and a file that holds a whole pickled model."""
    from nctools._torchvision_guard import import_torchvision

    import_torchvision()
    import timm

    torch.save(timm.create_model("resnet18", num_classes=len(CLASSES)).state_dict(), "weights.pth")
    torch.save(nn.Sequential(nn.Linear(8, 4)), "model.pt")
    Path("my_module.py").write_text(MODULE, encoding="utf-8")
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, len(CLASSES)))
    torch.save({"state_dict": {f"net.{key}": value for key, value in net.state_dict().items()}}, "lit.ckpt")


def _for_readme(runs: SmallRuns) -> Namespace:
    _photographs()
    _foreign_weights()
    return {}


def _for_measure(runs: SmallRuns) -> Namespace:
    runs.put("mlc_nc", "erm")
    _photographs()
    _foreign_weights()
    # From 116 pairs of the first class down to 4 of the last: head, medium and tail.
    model, counts = Network().eval(), torch.logspace(2.065, 0.63, 20).int()
    labels = torch.repeat_interleave(torch.arange(20), counts)
    features = torch.randn(20, 64)[labels] + 0.3 * torch.randn(len(labels), 64)
    for seed, name in enumerate(("train", "test", "outside")):
        nctools.extract(model, _loader(seed), f"{name}.h5", layers={"penultimate": "fc:input"})
    np.savez("features.npz", features=features.numpy(), labels=labels.numpy())
    other = nctools.collapse.CollapseStatistics(20, 512)
    other.update(torch.randn(100, 512), torch.arange(100) % 20)
    other.save("of_another_worker.npz")
    import lightning.pytorch as pl

    batches = [(torch.randn(40, 512), torch.arange(40) % 20) for _ in range(3)]
    return {
        "torch": torch, "nn": nn, "pl": pl, "model": model, "loader": _loader(), "images": torch.randn(4, 3, 16, 16),
        "features": features, "labels": labels, "weight": torch.randn(20, 64), "batches": batches,
        "train_features": features, "train_labels": labels,
        "test_features": features + 0.1 * torch.randn(len(labels), 64), "test_labels": labels,
    }  # fmt: skip


def _for_own_model(runs: SmallRuns) -> Namespace:
    _for_readme(runs)
    import lightning.pytorch as pl

    model = Network()

    def train_one_epoch(model: nn.Module) -> None:
        images, labels = next(iter(_loader()))
        nn.functional.cross_entropy(model(images), labels).backward()

    return {
        "nctools": nctools, "pl": pl, "model": model, "loader": _loader(), "train_images_in_order": _loader(),
        "averaged_model": Network(), "train_one_epoch": train_one_epoch,
    }  # fmt: skip


def _for_choose_a_loss(runs: SmallRuns) -> Namespace:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(64, 20, generator=generator) < 0.2).float()
    images = torch.randn(64, 3, 16, 16, generator=generator)
    return {"model": Network(), "train_images": TensorDataset(images, targets), "train_targets": targets}


def _for_train(runs: SmallRuns) -> Namespace:
    runs.put("erm")
    names = nctools.data.load_dataset("digits_lt", "test").class_names
    np.savez("vectors.npz", vectors=np.random.default_rng(0).normal(size=(20, 30)), class_names=np.array(names))
    from lightning.pytorch import Trainer

    targets = (torch.rand(4, 20) < 0.2).float()
    return {
        "nctools": nctools, "Trainer": Trainer, "train_images_once": _loader(), "epoch": 1,
        "images": torch.randn(4, 3, 64, 64), "targets": targets,
    }  # fmt: skip


def _for_evaluate(runs: SmallRuns) -> Namespace:
    runs.put("mlc_nc")
    generator = torch.Generator().manual_seed(0)
    return {
        "nctools": nctools, "class_names": CLASSES, "probabilities": torch.rand(50, 4, generator=generator),
        "targets": (torch.rand(50, 4, generator=generator) < 0.4).float(),
    }  # fmt: skip


def _for_data(runs: SmallRuns) -> Namespace:
    _photographs()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (30, 3, 8, 8), generator=generator, dtype=torch.uint8)
    targets = (torch.rand(30, 4, generator=generator) < 0.5).float()
    return {
        "class_names": CLASSES, "train_images": images, "train_targets": targets,
        "test_images": images, "test_targets": targets,
    }  # fmt: skip


def _for_see(runs: SmallRuns) -> Namespace:
    tables = Path("studies") / "tables"
    tables.mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "results" / "ablation_runs.csv", tables)
    return _two_runs(runs)


def _two_runs(runs: SmallRuns) -> Namespace:
    runs.put("mlc_nc", "erm")
    return {}


def _for_class_maps(runs: SmallRuns) -> Namespace:
    generator = torch.Generator().manual_seed(0)
    return _two_runs(runs) | {"model": Network(), "images": torch.randn(4, 3, 16, 16, generator=generator)}


def _for_extend(runs: SmallRuns) -> Namespace:
    # The page shows what stands in the file.
    page = (ROOT / "docs" / "guides" / "extend.md").read_text(encoding="utf-8")
    shown = next(block.text for block in code_blocks(page, "python") if block.text.startswith("# rarity.py"))
    Path("rarity.py").write_text(shown, encoding="utf-8")
    return {}


_GIVEN: dict[str, Callable[[SmallRuns], Namespace]] = {
    "README.md": _for_readme,
    "docs/guides/choose-a-loss.md": _for_choose_a_loss,
    "docs/guides/class-maps.md": _for_class_maps,
    "docs/guides/data.md": _for_data,
    "docs/guides/embedding.md": _two_runs,
    "docs/guides/evaluate.md": _for_evaluate,
    "docs/guides/extend.md": _for_extend,
    "docs/guides/measure.md": _for_measure,
    "docs/guides/own-model.md": _for_own_model,
    "docs/guides/report.md": _two_runs,
    "docs/guides/see.md": _for_see,
    "docs/guides/train.md": _for_train,
}
_SLOW_RUNS = {
    "docs/guides/evaluate.md": ("mlc_nc-s0", "mlc_nc-s1", "mlc_nc-s2"),
    "docs/guides/many-devices.md": ("mlc_nc",),
}
