"""``nctools measure``: the NC table by group, of checkpoints or feature files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nctools.cli.data_options import DataSettingsText
from nctools.cli.forward import forward_options, parse_layers
from nctools.cli.memory import STORE_SUFFIXES, print_plans
from nctools.cli.nc_files import write_results
from nctools.cli.nc_table import print_depth, print_result
from nctools.cli.number_options import (
    Averaged,
    Bootstrap,
    Centre,
    Confidence,
    ConventionOption,
    Ddof,
    DryRun,
    Ends,
    Groups,
    MaxMemory,
    MeansFrom,
    Metrics,
    MinCount,
    Multiplicity,
    Ood,
    Pairs,
    Precision,
    PrecisionOption,
    References,
    SamplePairs,
    Scope,
    ScopeOption,
    Seed,
    Space,
    Weighting,
)
from nctools.cli.options import (
    AutocastOption,
    BatchSize,
    ChannelsLast,
    CheckpointDataset,
    Data,
    DataArgs,
    DataRoot,
    Device,
    Force,
    ImageSize,
    Inputs,
    JsonFile,
    Layers,
    Maps,
    MapsOption,
    Mean,
    Model,
    ModelArgs,
    PrefixTokens,
    Quiet,
    Std,
    Tokens,
    TokensOption,
    Weights,
    WeightsOption,
    Workers,
)
from nctools.cli.output import input_errors, refuse_to_overwrite, say
from nctools.cli.ranks import joined_ranks
from nctools.collapse.catalogue import PRESETS

if TYPE_CHECKING:
    from nctools.collapse.result import CollapseResult
    from nctools.measurement import RunOptions
    from nctools.store_measurement import Settings


def run(
    context: typer.Context,
    inputs: Inputs = None,
    dataset: CheckpointDataset = None,
    data_root: DataRoot = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Split to measure a checkpoint on. [default: train]")
    ] = None,
    groups: Groups = None,
    metrics: Metrics = "default",
    space: Space = None,
    centre: Centre = Averaged.by_class,
    weighting: Weighting = Averaged.by_class,
    scope: ScopeOption = Scope.across,
    convention: ConventionOption = None,
    ddof: Ddof = 0,
    pairs: Pairs = Ends.anywhere,
    min_count: MinCount = 1,
    multiplicity: Multiplicity = None,
    precision: PrecisionOption = Precision.auto,
    sample_pairs: SamplePairs = None,
    max_memory: MaxMemory = None,
    dry_run: DryRun = False,
    depth_eps: Annotated[
        float | None,
        typer.Option(
            "--depth-eps",
            min=0.0,
            max=1.0,
            help="Effective depth of several layers: share of pairs whose nearest class mean may be wrong. Given, "
            "nc4_ncc_accuracy is measured in every layer. [default: 0.02]",
        ),
    ] = None,
    model: Model = None,
    model_args: ModelArgs = None,
    layers: Layers = None,
    maps: MapsOption = Maps.refuse,
    tokens: TokensOption = Tokens.refuse,
    prefix_tokens: PrefixTokens = None,
    weights: WeightsOption = Weights.raw,
    data: Data = None,
    data_args: DataArgs = None,
    data_settings: DataSettingsText = None,
    image_size: ImageSize = None,
    mean: Mean = None,
    std: Std = None,
    batch_size: BatchSize = 256,
    workers: Workers = 0,
    device: Device = "auto",
    autocast: AutocastOption = None,
    channels_last: ChannelsLast = False,
    keep_features: Annotated[
        Path | None,
        typer.Option(
            "--keep-features",
            help="Keep the features in this file. If it was interrupted, the same command goes on where it ended.",
        ),
    ] = None,
    json_file: JsonFile = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the tidy table to this file.")] = None,
    per_class: Annotated[
        Path | None, typer.Option("--per-class", help="Write values of each class to this CSV.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    bootstrap: Bootstrap = None,
    confidence: Confidence = 0.95,
    seed: Seed = 0,
    means_from: MeansFrom = None,
    ood: Ood = None,
    references: References = False,
) -> None:
    """Measure neural collapse: NC1 to NC4 for all classes and by group (head / medium / tail).

    A model is run over its training images, in eval mode, each image once. Checkpoints of nctools need nothing else;
    other weights need --model, and --dataset or --data. What a number means: nctools explain nc1_pinv

    Example: nctools measure runs/mlc_nc/checkpoints/last.pt --dataset digits_lt

    Example: nctools measure weights.pth --model timm:resnet18 --data photos/
    """
    for target in (json_file, csv_file, per_class):
        refuse_to_overwrite(target, force=force)
    import nctools

    chosen = _metrics(metrics, every_layer=depth_eps is not None, held_out=means_from is not None)
    settings: Settings = {
        "centre": _choice(centre),
        "weighting": _choice(weighting),
        "scope": "global" if scope is Scope.across else "within",
        "convention": None if convention is None else convention.value,
        "ddof": 1 if ddof else 0,
        "pairs": "any" if pairs is Ends.anywhere else "within",
        "precision": precision.value,
        "min_count": min_count,
        "multiplicity": multiplicity,
        "sample_pairs": sample_pairs,
        "max_memory": max_memory,
        "bootstrap": bootstrap,
        "confidence": confidence,
        "seed": seed,
        "references": ("random", "etf") if references else (),
    }
    run_options: RunOptions = {
        **forward_options(context.params),
        "layers": parse_layers(layers) if layers else None,
        "maps": maps.value,
        "tokens": tokens.value,
        "prefix_tokens": prefix_tokens,
        "keep_features": keep_features,
    }
    if groups is not None and not Path(groups).is_file():
        # A rule needs the counts of the training images.
        run_options["data_settings"] = {**(run_options.get("data_settings") or {}), "groups": groups}
    sources = _sources(inputs, run_options)
    if dry_run:
        for path in sources:
            print_plans(path, chosen, space, settings)
        return
    results: list[CollapseResult] = []
    with joined_ranks() as rank, input_errors():
        for path in sources:
            _say_what_plays_no_part(path, split, run_options)
            results.append(
                nctools.measure(
                    path,
                    split=split,
                    groups=_groups_of(path, groups),
                    metrics=chosen,
                    spaces=space,
                    progress=not quiet and rank == 0,
                    means_from=means_from,
                    ood_features=ood,
                    **settings,
                    **({} if _is_features(path) else run_options),
                )
            )
    if rank:
        return
    titles = [str(path or model) for path in sources]
    if json_file != "-":
        for title, result in zip(titles, results, strict=True):
            print_result(result, title=title)
            print_depth(result, title=title, eps=depth_eps)
    write_results(titles, sources, results, json_file=json_file, csv_file=csv_file, per_class=per_class)


def _sources(inputs: Sequence[Path] | None, options: RunOptions) -> list[Path | None]:
    if not inputs and options.get("model") is None:
        raise typer.BadParameter("name a file of weights (.pt, .ckpt, .safetensors) or of features (.h5), or a --model")
    if options.get("keep_features") is not None and len(inputs or ()) > 1:
        raise typer.BadParameter("--keep-features names one file: measure one model at a time")
    return list(inputs) if inputs else [None]


def _is_features(path: Path | None) -> bool:
    return path is not None and path.suffix in {*STORE_SUFFIXES, ".npz"}


def _groups_of(path: Path | None, rule: str | None) -> dict[str, list[int]] | None:
    from nctools.data.group_rules import groups_and_notes, read_group_file
    from nctools.errors import ConfigError

    if rule is None:
        return None
    if path is not None and path.suffix in STORE_SUFFIXES:
        from nctools.features.store import FeatureStore

        if not Path(rule).is_file():
            say(f"note: groups {rule} come from the counts of the images in {path} itself")
        with FeatureStore(path) as store:
            groups, notes = groups_and_notes(rule, store.targets.sum(dim=0).tolist(), store.classes)
        for note in notes:
            say(f"note: {note}")
        return groups
    if Path(rule).is_file():
        return read_group_file(Path(rule))
    if _is_features(path):
        raise ConfigError(f"--groups {rule}: {path} has no counts of training images; give a JSON file of named groups")
    return None  # a rule for what is opened by name or checkpoint, whose training counts it takes


def _say_what_plays_no_part(path: Path | None, split: str | None, options: RunOptions) -> None:
    if not _is_features(path):
        return
    usual = {"weights": "raw", "device": "auto", "maps": "refuse", "tokens": "refuse", "batch_size": 256, "workers": 0}
    given = [
        name for name, value in options.items() if value is not None and value is not False and usual.get(name) != value
    ]
    if set(options.get("data_settings") or {}) == {"groups"}:
        given.remove("data_settings")
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        say(f"note: {path} holds features, measured as they are: {flags} would change nothing and was not looked at")
    if split is not None:
        say(f"note: {path} holds features, measured as they are: --split {split} is only their label in the table")


def _metrics(text: str, *, every_layer: bool, held_out: bool) -> str | list[str]:
    # The main table leaves nc4_ncc_accuracy out where a classifier fits; the depth needs it in every layer. With means
    # of another split every preset holds it.
    from nctools.collapse.depth import ACCURACY

    if text in PRESETS and (text == "all" or held_out or not every_layer):
        return text
    listed = list(PRESETS[text]) if text in PRESETS else [name.strip() for name in text.split(",") if name.strip()]
    return [*listed, ACCURACY] if every_layer and ACCURACY not in listed else listed


def _choice(value: Averaged) -> Literal["class", "sample"]:
    return "class" if value is Averaged.by_class else "sample"
