"""The ready configurations are what their commands print; run as a module, this writes them anew."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from nctools.cli.app import main as run_command
from nctools.data import ClassAwareSampler
from nctools.data.loading import usual_preprocessing
from nctools.data.published.facts import COCO_CLASSES, PUBLISHED_SPLITS, VOC_CLASSES
from nctools.methods.assembly import build_as_told
from nctools.methods.mlc_nc import MLCNC
from nctools.training.config import TrainConfig, make_config
from nctools.training.config_file import load_config

CONFIGS = Path(__file__).parents[1] / "examples" / "configs"
# VG200 is published as lists of images: its largest class has 278 of the first 1,000.
LARGEST = {
    "voc_lt": PUBLISHED_SPLITS["voc_lt"].count_range[0],
    "coco_lt": PUBLISHED_SPLITS["coco_lt"].count_range[0],
    "vg200": 278,
}
CLASSES = {"voc_lt": len(VOC_CLASSES), "coco_lt": len(COCO_CLASSES), "vg200": 200}
_PAPER = "Tao et al., MLC-NC, AAAI 2025, doi 10.1609/aaai.v39i19.34298"


@dataclass(frozen=True)
class Example:
    """A ready configuration: its command, and the lines above it."""

    dataset: str
    variant: str | None
    about: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its file."""
        return f"mlc_nc-{'released-' if self.variant else ''}{self.dataset}.yaml"

    @property
    def command(self) -> str:
        """What prints it."""
        variant = f" --variant {self.variant}" if self.variant else ""
        return f"nctools train mlc_nc --dataset {self.dataset}{variant} --dry-run"

    def config(self) -> TrainConfig:
        """What that command makes."""
        return make_config("mlc_nc", self.dataset, {"arguments.variant": self.variant} if self.variant else {})

    def text(self) -> str:
        """The whole file."""
        document = yaml.safe_dump(self.config().in_full().model_dump(mode="json"), sort_keys=False)
        lines = [*self.about, f"Printed by: {self.command}"]
        return "".join(f"# {line}\n" for line in lines) + document


_RECIPE = (
    "ResNet-50 from timm's ImageNet weights, 224 px (the preprocessing mlc_nc, which is usual for this data set), Adam",
    "with a one-cycle schedule, mixed precision, averaged weights, class-aware sampling, 5 epochs of warm-up.",
)


def _hardware(draws: str, steps: str) -> tuple[str, ...]:
    return (
        f"Hardware: one GPU. An epoch has {draws} draws, the run {steps} steps of 64 images; give --workers as many",
        "processes as the machine has cores. A CPU computes it in float32, and takes days.",
    )


_VOC, _COCO = _hardware("15,500", "24,200"), _hardware("90,240", "141,000")
EXAMPLES = {
    example.name: example
    for example in (
        Example("voc_lt", None, ("MLC-NC on VOC-LT, by the paper's equations.", f"Source: {_PAPER}.", *_RECIPE, *_VOC)),
        Example(
            "coco_lt", None, ("MLC-NC on COCO-LT, by the paper's equations.", f"Source: {_PAPER}.", *_RECIPE, *_COCO)
        ),
        Example(
            "vg200",
            None,
            (
                "MLC-NC on VG200, by the paper's equations.",
                f"Source: {_PAPER}.",
                *_RECIPE,
                "The authors' code takes 448 px here: --set preprocessing.image_size=448.",
                *_hardware("55,600", "86,800"),
            ),
        ),
        *(
            Example(
                dataset,
                "released",
                (
                    f"MLC-NC on {title}, as the authors' released code computes it: 8-head attention of width 768, a",
                    "trained classifier, running class centres, L_FPC averaged over pairs with weight 0.1.",
                    f"Source: {_PAPER}, and the code beside it.",
                    *_RECIPE,
                    *hardware,
                ),
            )
            for dataset, title, hardware in (("voc_lt", "VOC-LT", _VOC), ("coco_lt", "COCO-LT", _COCO))
        ),
    )
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_file_is_what_its_command_prints_below_its_header(name: str) -> None:
    assert (CONFIGS / name).read_text(encoding="utf-8") == EXAMPLES[name].text()


def command_in(path: Path) -> list[str]:
    """The command that a file says it was printed by."""
    line = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# Printed by: "))
    return shlex.split(line.removeprefix("# Printed by: "))


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_command_in_each_file_prints_what_stands_below_its_header(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", command_in(CONFIGS / name))
    with suppress(SystemExit):
        run_command()
    lines = (CONFIGS / name).read_text(encoding="utf-8").splitlines()
    assert capsys.readouterr().out.splitlines() == [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_file_loads_as_the_configuration_of_its_command(name: str) -> None:
    variant = "released" if "released" in name else "paper"
    dataset = name.removesuffix(".yaml").rpartition("-")[2]
    config = load_config(CONFIGS / name)
    made = make_config("mlc_nc", dataset, {"variant": variant} if variant == "released" else {})
    assert config == made.in_full()
    assert (config.dataset, config.arguments.get("variant", "paper")) == (dataset, variant)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_draws_and_steps_in_the_header_follow_from_the_published_counts(name: str) -> None:
    config = load_config(CONFIGS / name)
    draws = LARGEST[config.dataset] * CLASSES[config.dataset] // config.recipe.sampler_reduce
    steps = config.recipe.epochs * (draws // config.recipe.batch_size)
    about = " ".join((CONFIGS / name).read_text(encoding="utf-8").replace("\n# ", " ").split())
    assert f"An epoch has {draws:,} draws, the run {steps:,} steps of {config.recipe.batch_size} images" in about


def test_the_sampler_draws_what_the_published_counts_say() -> None:
    counts = PUBLISHED_SPLITS["voc_lt"].class_counts
    assert counts is not None
    # As many images of one label each as the class has: the sampler sees the counts alone.
    labels = torch.eye(len(counts))[torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))]
    assert len(ClassAwareSampler(labels)) == 15_500


def test_the_folder_holds_these_files_and_the_page_names_them() -> None:
    assert sorted(path.name for path in CONFIGS.iterdir()) == sorted(EXAMPLES)
    page = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`configs/{name}`" in page for name in EXAMPLES)


# Section "Training recipe" of the paper and of the released script, value by value.
RECIPE = {
    "epochs": 100,
    "batch_size": 64,
    "max_lr": 1e-4,
    "pct_start": 0.2,
    "weight_decay": 1e-4,
    "sampler": "class_aware",
    "epoch_length": "balanced",
    "ema_decay": 0.9997,
    "gradient_clip": None,
    "num_samples_per_class": 1,
    "sampler_reduce": 1,
    "precision": "16-mixed",
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_recipe_is_the_papers(name: str) -> None:
    config = load_config(CONFIGS / name)
    assert config.recipe.model_dump() == RECIPE
    assert config.trainer.accumulate_grad_batches == 1
    assert (config.arguments["backbone"], config.arguments["pretrained"]) == ("resnet50", True)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_images_are_prepared_as_the_paper_says(name: str) -> None:
    config = load_config(CONFIGS / name)
    assert config.preprocessing.changed(usual_preprocessing(config.dataset)).to_dict() == {
        "mean": [0.466, 0.471, 0.380],
        "std": [0.195, 0.194, 0.192],
        "augmentation": "crop_flip_jitter",
        "resize": 256,
        "crop": 224,
        "interpolation": "bilinear",
    }


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_losses_are_weighted_as_the_paper_or_the_code_says(name: str) -> None:
    config = load_config(CONFIGS / name)
    # Backbone and number of classes are of no matter here.
    arguments = dict(config.arguments) | {"backbone": "small", "pretrained": False}
    method = build_as_told("mlc_nc", {"num_classes": 20}, arguments)
    assert isinstance(method, MLCNC)
    released = "released" in name
    assert (method.warmup_epochs, method.fla_weight, method.fpc_weight) == (5, 0.5, 0.1 if released else 0.2)
    assert method.classifier.weight.requires_grad == released
    assert method.centres.mode == ("running" if released else "epoch")


def main() -> None:
    """Write the files."""
    CONFIGS.mkdir(parents=True, exist_ok=True)
    for name, example in EXAMPLES.items():
        (CONFIGS / name).write_text(example.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
