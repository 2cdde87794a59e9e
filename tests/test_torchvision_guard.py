"""The import repair for torchvision: only where it is needed, and then it works; each case in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What torchvision does at import: a fake kernel for an operator that its compiled part should have defined.
BROKEN = """
import torch
import torchvision.half_imported
for operator in ("nms", "qnms"):
    @torch.library.register_fake("torchvision::" + operator)
    def fake(dets, scores, iou_threshold):
        return dets
"""
# A submodule of the made-up package: counts how often it was loaded.
COUNTING = "import builtins\nbuiltins.loads = getattr(builtins, 'loads', 0) + 1\n"
PRELUDE = "import sys\nfrom nctools._torchvision_guard import guard_active, import_torchvision\n"


def run_with_fake(folder: Path, init: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter in which ``import torchvision`` finds a made-up package."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(init, encoding="utf-8")
    (package / "half_imported.py").write_text(COUNTING, encoding="utf-8")
    return run(code, {"PYTHONPATH": str(folder)})


def run(code: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | (environment or {}),
    )


def test_healthy_torchvision_is_left_alone(tmp_path: Path) -> None:
    code = (
        "module = import_torchvision()\n"
        "assert module.__version__ == 'healthy', module\n"
        "assert not guard_active()\n"
        # Without torch no schema can have been defined.
        "assert 'torch' not in sys.modules\n"
    )
    result = run_with_fake(tmp_path, "__version__ = 'healthy'", code)
    assert result.returncode == 0, result.stderr


def test_missing_operators_are_defined_and_the_import_repeated(tmp_path: Path) -> None:
    code = (
        "module = import_torchvision()\n"
        "assert module is sys.modules['torchvision'] and module.__version__ == 'broken'\n"
        "assert guard_active()\n"
        "import torch\n"
        "assert torch.ops.torchvision.nms and torch.ops.torchvision.qnms\n"
        "assert import_torchvision() is module\n"
    )
    result = run_with_fake(tmp_path, BROKEN + "__version__ = 'broken'", code)
    assert result.returncode == 0, result.stderr


def test_half_imported_modules_are_dropped_before_the_second_try(tmp_path: Path) -> None:
    code = "import_torchvision()\nimport builtins\nassert builtins.loads == 2, builtins.loads\n"
    result = run_with_fake(tmp_path, BROKEN, code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RuntimeError", "the driver is too old"),
        ("RuntimeError", "operator otherlibrary::nms does not exist"),
        ("ImportError", "libjpeg.so.62: cannot open shared object file"),
        ("ImportError", "operator torchvision::nms does not exist"),
    ],
)
def test_any_other_failure_propagates_unchanged(tmp_path: Path, error: str, message: str) -> None:
    code = (
        "try:\n"
        "    import_torchvision()\n"
        f"except {error} as caught:\n"
        f"    assert str(caught) == {message!r}, caught\n"
        "else:\n"
        "    raise AssertionError('nothing was raised')\n"
        "assert not guard_active()\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = run_with_fake(tmp_path, f"raise {error}({message!r})", code)
    assert result.returncode == 0, result.stderr


def test_a_second_defect_after_the_repair_propagates(tmp_path: Path) -> None:
    code = (
        "try:\n"
        "    import_torchvision()\n"
        "except RuntimeError as caught:\n"
        "    assert 'torchvision::other' in str(caught), caught\n"
        "else:\n"
        "    raise AssertionError('nothing was raised')\n"
    )
    result = run_with_fake(tmp_path, BROKEN.replace('"qnms")', '"qnms", "other")'), code)
    assert result.returncode == 0, result.stderr


def test_real_torchvision_then_timm_work() -> None:
    code = (
        "import_torchvision()\n"
        "import timm, torch\n"
        "from torchvision.transforms import v2\n"
        "image = v2.functional.horizontal_flip(torch.arange(6).reshape(1, 2, 3))\n"
        "assert image.tolist() == [[[2, 1, 0], [5, 4, 3]]]\n"
        "model = timm.create_model('resnet10t', pretrained=False, features_only=False)\n"
        "with torch.inference_mode():\n"
        "    assert model.eval().forward_features(torch.zeros(1, 3, 32, 32)).ndim == 4\n"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


# The worker starts from nothing: it gets the class by its module's name, and that module repairs the import.
SPAWNED = """
import multiprocessing
from nctools.models.backbones import build_backbone


def shape_in_worker(name):
    import torch

    return list(build_backbone(name).eval()(torch.zeros(1, 3, 32, 32)).shape)


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(shape_in_worker, ("resnet10t",)))
"""


def test_spawned_worker_repairs_its_own_import(tmp_path: Path) -> None:
    script = tmp_path / "spawn_worker.py"
    script.write_text(SPAWNED, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=240, check=False, env=os.environ
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[1, 512, 1, 1]"
