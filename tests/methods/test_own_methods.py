"""A method of the user's own: from a class to a trained, measured run; what is refused; what is never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nctools.errors import CheckpointError, ConfigError, UnknownNameError
from nctools.methods import ERM, Method, add_method, build, own_methods
from nctools.networks.network import open_network
from nctools.training import make_config, train

MODULE = """
from nctools.methods import ERM

print("imported")


class Halved(ERM):
    '''ERM with half the loss.'''

    def __init__(self, num_classes, *, backbone="small", share=0.5):
        super().__init__(num_classes, backbone=backbone)
        self.share = share

    def loss(self, output, targets, *, epoch):
        return {"loss": self.share * super().loss(output, targets, epoch=epoch)["loss"]}


NUMBER = 3
"""


@pytest.fixture(autouse=True)
def nothing_stays_known() -> Iterator[None]:
    before = dict(own_methods._OWN)
    yield
    own_methods._OWN.clear()
    own_methods._OWN.update(before)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "mine.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("mine", None)


def test_class_of_the_users_own_is_built_by_its_name() -> None:
    class Doubled(ERM):
        """ERM."""

    name = add_method(Doubled)
    assert name == f"{__name__}:Doubled"
    assert isinstance(build(name, num_classes=4, backbone="small"), Doubled)
    with pytest.raises(UnknownNameError, match="backbon"):
        build(name, num_classes=4, backbon="small")


def test_added_class_replaces_the_one_of_the_same_name() -> None:
    first = type("Mine", (ERM,), {"__module__": "__main__"})
    second = type("Mine", (ERM,), {"__module__": "__main__"})
    assert add_method(first) == add_method(second) == "__main__:Mine"
    assert type(build("__main__:Mine", num_classes=2, backbone="small")) is second


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.nn.Linear, "inherits from nctools.methods.Method"),
        (ERM(2, backbone="small"), "inherits from nctools.methods.Method"),
        (type("Empty", (Method,), {}), "Empty lacks forward, loss, feature_layers"),
    ],
)
def test_what_is_no_method_is_refused_in_words(wrong: type[Method], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        add_method(wrong)


def without_epoch(self: ERM, output: object, targets: object) -> None:
    """A loss that the training loop cannot call."""


def of_two(self: ERM, images: object, sizes: object) -> None:
    """A forward pass that the training loop cannot call."""


def of_anything(self: ERM, *arguments: object, **named: object) -> None:
    """A function that takes what comes."""


@pytest.mark.parametrize(
    ("function", "written", "words"),
    [
        ("loss", without_epoch, r"Mine.loss\(self.*'epoch'\): write it as loss\(self, output, targets, \*, epoch\)"),
        ("forward", of_two, r"Mine.forward\(self.*'sizes'\): write it as forward\(self, images\)"),
    ],
)
def test_function_that_the_training_loop_cannot_call_is_refused_before_it_runs(
    function: str, written: object, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        add_method(type("Mine", (ERM,), {function: written}))


@pytest.mark.parametrize("function", ["forward", "loss"])
def test_function_may_take_more_than_it_gets(function: str) -> None:
    assert add_method(type("Mine", (ERM,), {function: of_anything})).endswith(":Mine")
    assert add_method(type("Plain", (ERM,), {function: staticmethod(lambda *given, **named: None)})).endswith(":Plain")


def test_configuration_of_a_loss_without_an_epoch_is_refused(module: Path) -> None:
    loss = "    def loss(self, output, targets):\n        return {}\n"
    (module / "mine.py").write_text(f"from nctools.methods import ERM\n\n\nclass Bad(ERM):\n{loss}")
    with pytest.raises(ConfigError, match=r"mine:Bad cannot be trained: Bad.loss\(self, output, targets\) does"):
        make_config("mine:Bad", "digits_lt")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("output.logits", "its forward gives a Tensor; return nctools.models.Output with logits \\[2, 20\\]"),
        (
            "Output(output.logits[:, 1:])",
            "batch of 2 images of 20 classes its forward gives logits of shape \\[2, 19\\]",
        ),
        ("Output(None)", "its forward gives None as logits"),
    ],
)
def test_forward_that_gives_no_logits_of_the_classes_is_refused_before_there_is_a_run(
    module: Path, given: str, words: str
) -> None:
    head = "from nctools.methods import ERM\nfrom nctools.models import Output\n\n\nclass Bad(ERM):\n"
    forward = f"    def forward(self, images):\n        output = super().forward(images)\n        return {given}\n"
    (module / "mine.py").write_text(head + forward)
    config = make_config("mine:Bad", "digits_lt", {"recipe.epochs": 1, "nc.every": 0})
    with pytest.raises(ConfigError, match=words):
        train(config, module / "run", progress=False)
    assert not (module / "run").exists()


def test_first_look_at_an_own_method_leaves_it_as_it_is(module: Path) -> None:
    # Modes and running means are those of a built method, also where a part of it stays in eval mode.
    from nctools.data import load_dataset
    from nctools.training.preparation import _check_output

    method = build("erm", num_classes=20, backbone="small")
    backbone = method.backbone
    assert isinstance(backbone, torch.nn.Module)
    backbone.eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    plain = load_dataset("digits_lt", "test")
    _check_output(method, plain.with_transform(lambda image: image.float()), "mine:Halved")
    assert (method.training, backbone.training) == (True, False)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    ("name", "words"),
    [("mine:NUMBER", "mine:NUMBER cannot be trained: 3 is no class"), ("nowhere_at_all:X", "no module of that name")],
)
def test_configuration_of_something_else_is_refused(module: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_config(name, "digits_lt")


def test_module_is_imported_by_the_name_that_was_typed(module: Path) -> None:
    config = make_config("mine:Halved", "digits_lt", {"share": 0.25})
    assert (config.method, config.arguments["share"]) == ("mine:Halved", 0.25)
    assert make_config("mine:ERM", "digits_lt").method == "mine:ERM"


def test_run_of_an_own_method_is_opened_where_the_user_names_its_class(module: Path) -> None:
    settings = {"recipe.epochs": 1, "recipe.batch_size": 256, "nc.every": 0}
    run = train(make_config("mine:Halved", "digits_lt", settings), module / "run", progress=False)
    checkpoint = run.checkpoints / "last.pt"

    refused = command(module, "measure", checkpoint)
    assert refused.returncode == 3
    assert "mine:Halved, which is not part of nctools" in refused.stderr
    assert "imported" not in refused.stdout + refused.stderr

    measured = open_network(checkpoint, model="mine:Halved").module
    assert type(measured).__name__ == "Halved"
    drawn = command(module, "--import", "mine:Halved", "plot", "angles", run.path, "-o", "angles.svg")
    assert drawn.stdout.splitlines()[-2:] == ["angles.svg", "angles.csv"], drawn.stderr
    wrong = command(module, "--import", "mine", "methods")
    assert (wrong.returncode, "'mine' is not of the form MODULE:CLASS" in wrong.stderr) == (2, True)


def test_checkpoint_names_no_module_that_gets_imported(module: Path) -> None:
    from nctools.methods import load_checkpoint, rebuild

    settings = {"recipe.epochs": 1, "recipe.batch_size": 256, "nc.every": 0}
    run = train(make_config("mine:Halved", "digits_lt", settings), module / "run", progress=False)
    own_methods._OWN.clear()
    sys.modules.pop("mine")
    with pytest.raises(CheckpointError, match="trust that module, name it: nctools --import mine:Halved"):
        rebuild(load_checkpoint(run.checkpoints / "last.pt"))
    assert "mine" not in sys.modules


def command(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-m", "nctools", *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
