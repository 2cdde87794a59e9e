"""Methods that are trained in stages: the trainings that make up a run, and what one of them hands on to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from nctools.data.dataset import MultiLabelDataset
from nctools.errors import ConfigError
from nctools.features.inference import ready_model, run_batch
from nctools.features.progress import progress_of_passes
from nctools.methods import assembly
from nctools.methods.assembly import argument_names, method_class
from nctools.methods.checkpoint import Checkpoint, load_checkpoint, rebuild
from nctools.methods.method import Method
from nctools.methods.recipe import Recipe
from nctools.run_directory import RunDirectory
from nctools.training.config import TrainConfig
from nctools.training.config_sections import RecipeConfig
from nctools.training.data_module import evaluation_loader

# Seconds of scoring within which nothing is told elsewhere than on a terminal.
_PATIENCE = 2.0


@dataclass(frozen=True)
class Stage:
    """One training of a run. Most methods have only this one.

    Args:
        config: What is computed; the recipe is that of the stage.
        run: Where.
        written: The configuration that is written there.
        whole: Configuration and directory of the run that this training is the first stage of; None: it is the run.
        before: Where the stage before it was trained; None: there is none.
    """

    config: TrainConfig
    run: RunDirectory
    written: TrainConfig
    whole: tuple[TrainConfig, RunDirectory] | None = None
    before: RunDirectory | None = None

    @property
    def places(self) -> list[tuple[TrainConfig, RunDirectory]]:
        """Configurations and directories that are opened when it begins: first the run that it is a part of."""
        return [*([] if self.whole is None else [self.whole]), (self.written, self.run)]

    @property
    def home(self) -> RunDirectory:
        """The directory of the whole run."""
        return self.places[0][1]

    @property
    def index(self) -> int:
        """Its place in ``stages_of``."""
        return 0 if self.before is None else 1

    @property
    def title(self) -> str:
        """Which stage it is, for messages; empty where there is only one."""
        if self.whole is None and self.before is None:
            return ""
        return f"stage {self.index + 1} of 2: {self.config.method}"


def stages_of(config: TrainConfig, run: RunDirectory) -> list[Stage]:
    """List the trainings that a run consists of.

    The first stage is a whole run of its own in ``RUN/stages/1-METHOD``: the same data, seed, trainer and recipe, and
    the arguments that both methods have.

    Args:
        config: The run's configuration.
        run: Its directory.

    Returns:
        One or two stages, the run's own last.

    Raises:
        ConfigError: If the first stage would need one before it.

    Example:
        >>> from pathlib import Path
        >>> from nctools.training import make_config
        >>> stages = stages_of(make_config("lws", "digits_lt"), RunDirectory(Path("runs/lws")))
        >>> [(stage.run.path.as_posix(), stage.title) for stage in stages]
        [('runs/lws/stages/1-erm', 'stage 1 of 2: erm'), ('runs/lws', 'stage 2 of 2: lws')]
    """
    own = config.model_copy(update={"recipe": last_recipe(config)})
    name = method_class(config.method).first_stage
    if name is None:
        return [Stage(own, run, config)]
    if method_class(name).first_stage is not None:
        raise ConfigError(
            f"{config.method} has the first stage {name}, which has one itself: a training has two stages at most"
        )
    both = set(argument_names(name))
    arguments = {key: value for key, value in config.in_full().arguments.items() if key in both}
    earlier = config.model_copy(update={"method": name, "arguments": arguments})
    place = RunDirectory(run.stages / f"1-{name.replace(':', '.')}")
    return [Stage(earlier, place, earlier, whole=(config, run)), Stage(own, run, config, before=place)]


def last_recipe(config: TrainConfig) -> RecipeConfig:
    """Give the recipe that a run's last stage is trained with, which tells the epochs of its checkpoints.

    Args:
        config: The run's configuration.

    Returns:
        Its recipe, unless the method has another one for its last stage.

    Example:
        >>> from nctools.training import make_config
        >>> config = make_config("lws", "digits_lt", {"epochs": 40})
        >>> last_recipe(config).epochs, last_recipe(config).sampler
        (5, 'class_aware')
    """
    given = Recipe(**config.recipe.model_dump())
    chosen = assembly.last_recipe(config.method, given, config.arguments)
    return config.recipe if chosen == given else RecipeConfig(**asdict(chosen))


def has_all_epochs(run: RunDirectory, config: TrainConfig) -> bool:
    """Tell whether a run directory holds the last epoch of a training.

    Args:
        run: The run directory.
        config: What was to be trained.

    Returns:
        False also where there is no run.

    Raises:
        CheckpointError: If its checkpoint cannot be read.
    """
    last = run.checkpoints / "last.pt"
    return last.is_file() and load_checkpoint(last).epoch >= last_recipe(config).epochs


def first_checkpoint(run: RunDirectory) -> Checkpoint:
    """Read what a first stage hands on: its best epoch on validation, or its last where nothing was validated.

    Args:
        run: Where it was trained.

    Returns:
        The checkpoint, of which the raw weights are used.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    best = run.checkpoints / "best.pt"
    return load_checkpoint(best if best.is_file() else run.checkpoints / "last.pt")


def taken_over(
    method: Method, stage: Stage, images: MultiLabelDataset, device: torch.device, *, told: bool
) -> Tensor | None:
    """Let a method begin with what the stage before it learned.

    Args:
        method: The method of the last stage, with fresh weights; they are changed.
        stage: The last of two stages.
        images: Training images with the test transform.
        device: Where the first stage's model answers, if it is asked.
        told: Show how far it is.

    Returns:
        ``[N, C]`` labels that the loss sees in place of the given ones, -1 where one is not known; None: the given.
    """
    if stage.before is None:
        return None
    first = first_checkpoint(stage.before)
    method.take_over(first.state_dict)
    given = given_targets(images)

    def probabilities() -> Tensor:
        return _probabilities(rebuild(first), images, device, workers=stage.config.workers, told=told)

    shown = method.completed_targets(given, probabilities, stage.config.in_full().arguments)
    return None if shown is given else shown


def given_targets(images: MultiLabelDataset) -> Tensor:
    """Give the labels of a data set as a loss sees them.

    Args:
        images: Training images.

    Returns:
        ``[N, C]`` in {0, 1}, -1 where a label is not known.
    """
    return images.targets if images.unknown is None else images.targets.masked_fill(images.unknown, -1)


def added_labels(shown: Tensor, given: Tensor, groups: Mapping[str, Sequence[int]]) -> str:
    """Say how many labels a training sees beside the given ones.

    Args:
        shown: ``[N, C]``, 1 where the loss sees the class.
        given: ``[N, C]``, 1 where the data say that the image holds it.
        groups: Named lists of class indices.

    Returns:
        A sentence.

    Example:
        >>> given = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
        >>> added_labels(torch.tensor([[1.0, 1, 0], [0, 1, 0]]), given, {"head": [0, 1], "tail": [2]})
        '1 label added to the 2 given ones: head 1, tail 0; counts and measurements keep the given'
    """
    added = (shown == 1) & (given != 1)
    total, before = int(added.sum()), int((given == 1).sum())
    if not total:
        return (
            f"0 labels added to the {before:,} given ones: stage 2 repeats the training of stage 1; lower the "
            "threshold, or train longer"
        )
    named = ", ".join(f"{name} {int(added[:, list(indices)].sum()):,}" for name, indices in groups.items())
    return (
        f"{total:,} label{'' if total == 1 else 's'} added to the {before:,} given ones: {named}; "
        "counts and measurements keep the given"
    )


def _probabilities(
    method: Method, images: MultiLabelDataset, device: torch.device, *, workers: int, told: bool
) -> Tensor:
    answers, done = [], 0
    with (
        ready_model(method, device),
        torch.no_grad(),
        progress_of_passes(
            enabled=told, doing="scoring the training images with stage 1", what="images", after=_PATIENCE
        ) as tell,
    ):
        for batch, _ in evaluation_loader(images, workers=workers):
            answers.append(run_batch(method, batch, device).logits.float().sigmoid().cpu())
            done += len(batch)
            tell(done, len(images))
    return torch.cat(answers)
