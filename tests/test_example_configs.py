"""The ready configurations are what their commands print; run as a module, this writes them anew."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from nctools.training.config import TrainConfig, load_config, make_config

CONFIGS = Path(__file__).parents[1] / "examples" / "configs"
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
        document = yaml.safe_dump(self.config().model_dump(mode="json"), sort_keys=False)
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


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_each_file_loads_as_the_configuration_of_its_command(name: str) -> None:
    example = EXAMPLES[name]
    assert load_config(CONFIGS / name) == example.config()
    words = shlex.split(example.command)
    assert words[:4] == ["nctools", "train", "mlc_nc", "--dataset"]


def test_the_folder_holds_these_files_and_the_page_names_them() -> None:
    assert sorted(path.name for path in CONFIGS.iterdir()) == sorted(EXAMPLES)
    page = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`configs/{name}`" in page for name in EXAMPLES)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_recipe_is_the_papers(name: str) -> None:
    config = EXAMPLES[name].config()
    recipe = config.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.max_lr, recipe.weight_decay, recipe.pct_start) == (
        *(100, 64, 1e-4, 1e-4),
        0.2,
    )
    assert (recipe.sampler, recipe.epoch_length, recipe.num_samples_per_class) == ("class_aware", "balanced", 1)
    assert (recipe.ema_decay, recipe.precision) == (0.9997, "16-mixed")
    assert config.arguments.get("variant", "paper") == (EXAMPLES[name].variant or "paper")
    assert (config.arguments["backbone"], config.arguments["pretrained"]) == ("resnet50", True)


def main() -> None:
    """Write the files."""
    CONFIGS.mkdir(parents=True, exist_ok=True)
    for name, example in EXAMPLES.items():
        (CONFIGS / name).write_text(example.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
