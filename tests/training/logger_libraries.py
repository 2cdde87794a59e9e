"""Stand-ins for TensorBoard, W&B and MLflow: what Lightning asks of them, written down; nothing goes out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest


@dataclass
class Written:
    """What the libraries were told."""

    scalars: list[tuple[str, float, int]] = field(default_factory=list)  # TensorBoard
    texts: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)  # W&B
    logged: list[dict[str, float]] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)  # MLflow
    metrics: list[tuple[str, str, float, int]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    artifacts: list[str | None] = field(default_factory=list)


def put(monkeypatch: pytest.MonkeyPatch, name: str, **content: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def fake_tensorboard(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    class SummaryWriter:
        def __init__(self, log_dir: str) -> None:
            Path(log_dir).mkdir(parents=True, exist_ok=True)
            written.folders.append(log_dir)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.scalars.append((name, value, step))

        def add_text(self, name: str, text: str) -> None:
            written.texts[name] = text

        def flush(self) -> None:
            pass

        def close(self) -> None:
            pass

    put(monkeypatch, "tensorboard")
    put(monkeypatch, "tensorboardX", SummaryWriter=SummaryWriter)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning.fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", True)


def fake_wandb(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    class Run:
        def __init__(self, **settings: Any) -> None:
            self.id, self.config = settings["id"], SimpleNamespace(update=self._configure)

        def _configure(self, values: dict[str, Any], allow_val_change: bool) -> None:
            written.configuration.update(values)

        def define_metric(self, *names: str, **settings: object) -> None:
            pass

        def log(self, values: dict[str, float]) -> None:
            written.logged.append(values)

        def finish(self, exit_code: int) -> None:
            written.codes.append(exit_code)

    def init(**settings: Any) -> Run:
        written.started.append(settings)
        return Run(**settings)

    put(monkeypatch, "wandb", run=None, init=init)
    put(monkeypatch, "wandb.sdk")
    put(monkeypatch, "wandb.sdk.lib", RunDisabled=type("RunDisabled", (), {}))
    put(monkeypatch, "wandb.wandb_run", Run=Run)
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", True)


class MlflowClient:
    """Of MLflow, as far as Lightning and nctools use it."""

    written: ClassVar[Written]

    def __init__(self, tracking_uri: str) -> None:
        self.written.stores.append(tracking_uri)

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.written.artifacts.append(artifact_location)
        return name

    def create_run(self, experiment_id: str, tags: dict[str, str]) -> SimpleNamespace:
        return self.get_run(f"{experiment_id}-{tags['mlflow.runName']}")

    def get_run(self, run_id: str) -> SimpleNamespace:
        if run_id == "lost":
            raise RuntimeError("Run 'lost' not found")
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id, experiment_id="nctools"))

    def update_run(self, run_id: str, status: str) -> None:
        self.written.statuses.append((run_id, status))

    set_terminated = update_run

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self.written.metrics += [(run_id, metric.key, metric.value, metric.step) for metric in metrics]
        for param in params:
            if self.written.parameters.setdefault(param.key, param.value) != param.value:
                raise RuntimeError(f"Changing param values is not allowed: {param.key}")


def fake_mlflow(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    def set_tracking_uri(uri: str) -> None:
        os.environ["MLFLOW_TRACKING_URI"] = uri  # the real one does

    put(monkeypatch, "mlflow", set_tracking_uri=set_tracking_uri)
    client = type("Client", (MlflowClient,), {"written": written})
    context = put(monkeypatch, "mlflow.tracking.context", registry=None)
    put(monkeypatch, "mlflow.tracking", MlflowClient=client, context=context)
    put(monkeypatch, "mlflow.tracking.context.registry", resolve_tags=dict)
    put(monkeypatch, "mlflow.entities", Metric=SimpleNamespace, Param=SimpleNamespace)
    put(monkeypatch, "mlflow.utils")
    put(monkeypatch, "mlflow.utils.mlflow_tags", MLFLOW_RUN_NAME="mlflow.runName")
    monkeypatch.setattr("lightning.pytorch.loggers.mlflow._MLFLOW_AVAILABLE", True)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """All three libraries as stand-ins, and an environment that names no server."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    record = Written()
    for fake in (fake_tensorboard, fake_wandb, fake_mlflow):
        fake(monkeypatch, record)
    return record
