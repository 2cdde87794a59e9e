from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nctools.features.unwrapping import eager_execution, plain_name, unwrapped
from tests.features.models import compiled, linear_model


def test_model_without_wrapper_is_itself() -> None:
    model = linear_model()
    assert unwrapped(model) is model


def test_wrappers_of_every_kind_are_taken_off_in_any_order() -> None:
    model = linear_model()
    assert unwrapped(nn.DataParallel(compiled(model))) is model
    assert unwrapped(compiled(nn.DataParallel(model))) is model


def test_averaged_model_gives_the_average_and_not_the_last_weights() -> None:
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    nn.init.ones_(model.weight)
    averaged.update_parameters(model)
    inner = unwrapped(averaged)
    assert isinstance(inner, nn.Linear)
    assert inner.weight.tolist() == [[0.5, 0.5]]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed part")
def test_distributed_model_is_unwrapped(tmp_path: object) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        model = linear_model()
        assert unwrapped(nn.parallel.DistributedDataParallel(model)) is model
    finally:
        torch.distributed.destroy_process_group()


def test_mode_is_untouched() -> None:
    model = linear_model().train()
    model[1].eval()
    unwrapped(nn.DataParallel(model))
    assert [module.training for module in model] == [True, False, True]


def test_module_that_has_a_child_named_module_is_no_wrapper() -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 2)})
    assert unwrapped(model) is model


@pytest.mark.parametrize(
    ("name", "expected"), [("a._orig_mod.b", "a.b"), ("_orig_mod", ""), ("a.module", "a.module"), ("", "")]
)
def test_plain_name_has_no_trace_of_compilation(name: str, expected: str) -> None:
    assert plain_name(name) == expected


def test_compiled_program_runs_again_after_eager_execution() -> None:
    runs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        def run(*values: torch.Tensor) -> object:
            runs.append(1)
            return graph.forward(*values)

        return run

    model = torch.compile(linear_model(), backend=backend)
    images = torch.randn(2, 4)
    expected = model(images)
    with eager_execution():
        assert model(images).allclose(expected)
    assert len(runs) == 1
    model(images)
    assert len(runs) == 2


def test_eager_execution_does_not_load_the_compiler() -> None:
    script = (
        "import sys, torch; from nctools.features import FeatureExtractor;"
        "model = torch.nn.Linear(4, 3); extractor = FeatureExtractor(model);\n"
        "with extractor: extractor(torch.zeros(2, 4))\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
