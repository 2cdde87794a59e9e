"""Commands under torchrun and the Lightning callback over two processes give what one process gives."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import torch

import nctools

SCRIPT = """
    import sys, warnings
    from pathlib import Path

    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset


    def data(n=203):
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(n) % 3
        inputs = torch.randn(n, 8, generator=generator) + torch.eye(3, 8)[labels]
        return DataLoader(TensorDataset(inputs, labels), batch_size=16)


    def mlp():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))


    def main(folder):
        warnings.simplefilter("ignore")
        from nctools.training import NeuralCollapseCallback
        import lightning.pytorch as pl  # after nctools, which mends a torchvision that does not load

        class Lit(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = mlp()

            def forward(self, x):
                return self.net(x)

            def training_step(self, batch, index):
                return nn.functional.cross_entropy(self(batch[0]), batch[1])

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        module, loader = Lit(), data()
        trainer = pl.Trainer(
            max_epochs=2, accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_progress_bar=False,
            enable_checkpointing=False, enable_model_summary=False,
            callbacks=[NeuralCollapseCallback(path=Path(folder) / "nc.csv", every=1)],
        )
        trainer.fit(module, DataLoader(loader.dataset, batch_size=16, shuffle=True))
        if trainer.global_rank == 0:
            torch.save(module.net.state_dict(), Path(folder) / "net.pt")


    if __name__ == "__main__":
        main(sys.argv[1])
"""


def torchrun(*arguments: str | Path, folder: Path) -> None:
    """Start two processes, and fail with what they said."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*start, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of data and model, the weights of the model beside it."""
    (tmp_path / "two_devices.py").write_text(textwrap.dedent(SCRIPT))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_extract_and_measure_under_torchrun_equal_one_process(mine: Path) -> None:
    import two_devices  # type: ignore[import-not-found]

    torch.save(two_devices.mlp().state_dict(), mine / "net.pt")
    common = ("net.pt", "--model", "two_devices:mlp", "--data", "two_devices:data")
    torchrun("-m", "nctools", "extract", *common, "--out", "two.h5", "--shard-size", "32", "--quiet", folder=mine)
    torchrun("-m", "nctools", "measure", *common, "--csv", "two.csv", "--quiet", folder=mine)
    one = subprocess.run(
        [sys.executable, "-m", "nctools", "extract", *common, "--out", "one.h5", "--quiet"],
        cwd=mine, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    stores = [nctools.FeatureStore(mine / name) for name in ("one.h5", "two.h5")]
    assert stores[0].features("penultimate").equal(stores[1].features("penultimate"))
    assert stores[0].ids == stores[1].ids
    assert not (mine / "two.h5.parts").exists()
    values = pd.read_csv(mine / "two.csv").set_index(["metric", "group"])["value"]
    expected = nctools.measure(stores[0]).table.set_index(["metric", "group"])["value"]
    pd.testing.assert_series_equal(values, expected, rtol=1e-12)


@pytest.mark.slow
def test_callback_over_two_processes_equals_a_later_measurement(mine: Path) -> None:
    import two_devices

    torchrun("two_devices.py", mine, folder=mine)
    curve = pd.read_csv(mine / "nc.csv")
    assert sorted(set(curve["epoch"])) == [0, 1, 2]
    assert len(curve) == len(curve.drop_duplicates(["epoch", "weights", "space", "group", "metric"]))
    network = two_devices.mlp()
    network.load_state_dict(torch.load(mine / "net.pt", weights_only=True))
    result = nctools.measure(network, two_devices.data())
    last = curve[(curve["epoch"] == 2) & (curve["group"] == "all")].set_index("metric")["value"]
    for metric, value in result.to_dict()["all"].items():
        assert last[metric] == pytest.approx(value, rel=1e-6, nan_ok=True), metric
    assert {path.name for path in mine.iterdir()} <= {"two_devices.py", "nc.csv", "net.pt", "__pycache__"}
