"""From a file of weights, or a model's name alone, to a network that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from nctools.data.preprocessing import Preprocessing
from nctools.errors import CheckpointError, ConfigError
from nctools.methods.checkpoint import checkpoint_from, describe_checkpoint, rebuild
from nctools.methods.own_methods import import_method
from nctools.methods.released_weights import looks_released, rebuild_released
from nctools.models.output import Anchors
from nctools.networks.factories import build_network, is_library_model
from nctools.networks.fitting import load_into, num_classes_of
from nctools.networks.preparation import preprocessing_of
from nctools.networks.weight_file import WeightFile, read_weights


@dataclass(frozen=True, eq=False)
class Network:
    """A model that is ready to run, and what is known about it.

    Args:
        module: The model, in eval mode on the CPU.
        about: One line for the user.
        layers: Space name -> ``"module:input"`` or ``"module:output"``; None where they must be found by running it.
        anchors: Classifier rows or label embeddings by space; None where they must be found.
        class_names: Names of the classes, if the file tells.
        class_counts: Training images of each class, if the file tells.
        groups: Named lists of class indices, if the file tells.
        dataset: The data set it was trained on, if the file tells: a name or a path.
        data_root: Folder of its images then.
        data_settings: What was chosen about these data, as ``DataSettings.to_dict`` gives it.
        preprocessing: How its images are prepared, if that is known.
        notes: Warnings, each to be shown to the user.
        provenance: Where it comes from, ready for JSON.
    """

    module: nn.Module
    about: str
    layers: Mapping[str, str] | None = None
    anchors: Mapping[str, Anchors] | None = None
    class_names: list[str] | None = None
    class_counts: list[int] | None = None
    groups: dict[str, list[int]] | None = None
    dataset: str | None = None
    data_root: str | None = None
    data_settings: Mapping[str, object] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, object] = field(default_factory=dict)


def open_network(
    path: str | Path | None,
    *,
    model: str | None = None,
    arguments: Mapping[str, object] | None = None,
    weights: Literal["raw", "ema"] = "raw",
    num_classes: int | None = None,
) -> Network:
    """Open a network: a checkpoint of nctools, weights of the released MLC-NC code, or any weights and a model.

    Args:
        path: File of weights or folder with one; None for the model as it is built.
        model: ``"timm:NAME"``, ``"torchvision:NAME"`` or ``"package.module:factory"``; None if the file tells.
        arguments: Arguments of the model. ``{"pretrained": True}`` downloads; nothing else does.
        weights: ``"raw"`` or ``"ema"`` (averaged).
        num_classes: For models that are built without a file that tells the number of classes.

    Returns:
        The network.

    Raises:
        CheckpointError: If the file cannot be read safely, does not tell its model, or does not fit the one given.
        ConfigError: If arguments are given for a file that tells its model, or the model cannot be built.
        ValueError: If neither file nor model is given.
    """
    given = dict(arguments or {})
    if path is None:
        if model is None:
            raise ValueError("neither a file of weights nor a model is given: pass a path, or model='timm:resnet50'")
        return _without_file(model, given, num_classes)
    file = read_weights(path)
    state = file.state(weights)
    if model is not None and file.kind == "nctools" and checkpoint_from(file.document, file.path).method == model:
        # The user's own method, named by the user.
        import_method(model)
        model = None
    if model is None and (file.kind == "nctools" or looks_released(state)):
        if given:
            raise ConfigError(
                f"{path} tells its model: arguments ({', '.join(given)}) go with a model of your own only"
            )
        return _ours(file, weights) if file.kind == "nctools" else _released(file, state, weights)
    spec = model or file.architecture
    if spec is None or (model is None and not is_library_model(spec)):
        raise CheckpointError(_no_model_message(file))
    return _foreign(file, state, spec, given, weights, num_classes)


def _without_file(model: str, arguments: dict[str, object], num_classes: int | None) -> Network:
    module = build_network(model, arguments, num_classes=num_classes)
    pretrained = bool(arguments.get("pretrained") or arguments.get("weights"))
    preprocessing, notes = preprocessing_of(model, module, arguments)
    if not pretrained:
        notes.insert(0, f"random weights: no file was given, and {model} was not asked for pretrained ones")
    return Network(
        module,
        f"{model} with {'pretrained' if pretrained else 'random'} weights, {_entries(module)} tensors",
        preprocessing=preprocessing,
        notes=notes,
        provenance=_model_provenance(model, arguments) | {"weights": "pretrained" if pretrained else "random"},
    )


def _ours(file: WeightFile, weights: Literal["raw", "ema"]) -> Network:
    checkpoint = checkpoint_from(file.document, file.path)
    method = rebuild(checkpoint, weights=weights)
    described = {f"checkpoint_{key}": value for key, value in describe_checkpoint(checkpoint).items()}
    return Network(
        method,
        _loaded(file, f"method {checkpoint.method}", weights),
        layers=dict(method.feature_layers),
        anchors=method.anchors(),
        class_names=list(checkpoint.class_names),
        class_counts=list(checkpoint.class_counts),
        groups=checkpoint.groups,
        dataset=checkpoint.dataset,
        data_root=checkpoint.data_root,
        data_settings=checkpoint.data_settings,
        preprocessing=Preprocessing.from_dict(checkpoint.preprocessing),
        provenance={"checkpoint": str(file.path), "weights": weights, **described},
    )


def _released(file: WeightFile, state: Mapping[str, Tensor], weights: Literal["raw", "ema"]) -> Network:
    method, notes = rebuild_released(state)
    return Network(
        method,
        _loaded(file, "method mlc_nc (released variant)", weights),
        layers=dict(method.feature_layers),
        anchors=method.anchors(),
        # What the released code normalises with.
        preprocessing=Preprocessing(mean=(0.466, 0.471, 0.380), std=(0.195, 0.194, 0.192), resize=256, crop=224),
        notes=[*notes, *_weight_notes(file, weights)],
        provenance=_file_provenance(file, weights) | {"model": "mlc_nc", "model_arguments": {"variant": "released"}},
    )


def _foreign(
    file: WeightFile,
    state: Mapping[str, Tensor],
    spec: str,
    arguments: dict[str, object],
    weights: Literal["raw", "ema"],
    num_classes: int | None,
) -> Network:
    hyper_parameters = file.document.get("hyper_parameters")
    if arguments.get("pretrained") is True:
        arguments = arguments | {"pretrained": False}  # the file's weights replace them
    module = build_network(
        spec,
        arguments,
        num_classes=num_classes_of(state) or num_classes,
        hyper_parameters=hyper_parameters if isinstance(hyper_parameters, Mapping) else None,
    )
    notes = load_into(module, state, where=str(file.path))
    config = file.document.get("pretrained_cfg")
    preprocessing, more = preprocessing_of(spec, module, arguments, config if isinstance(config, Mapping) else None)
    return Network(
        module,
        _loaded(file, spec, weights),
        preprocessing=preprocessing,
        notes=[*notes, *more, *_weight_notes(file, weights)],
        provenance=_file_provenance(file, weights) | _model_provenance(spec, arguments),
    )


def _loaded(file: WeightFile, into: str, weights: Literal["raw", "ema"]) -> str:
    return f"loaded {file.about}, into {into}" + (", averaged weights" if weights == "ema" else "")


def _weight_notes(file: WeightFile, weights: Literal["raw", "ema"]) -> list[str]:
    if file.ema is None or weights == "ema":
        return []
    if file.ema is file.raw:
        return ["the file holds averaged weights only, and those are used"]
    return ["the file also holds averaged weights: --weights ema"]


def _file_provenance(file: WeightFile, weights: Literal["raw", "ema"]) -> dict[str, object]:
    known = {key: file.document[key] for key in ("epoch", "global_step", "seed") if key in file.document}
    described = {"kind": file.kind, "about": file.about, **{key: _plain(value) for key, value in known.items()}}
    return {
        "checkpoint": str(file.path),
        "weights": weights,
        **{f"checkpoint_{key}": value for key, value in described.items()},
    }


def _model_provenance(spec: str, arguments: Mapping[str, object]) -> dict[str, object]:
    return {"model": spec, "model_arguments": {key: _plain(value) for key, value in arguments.items()}}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _entries(module: nn.Module) -> int:
    return len(module.state_dict())


def _no_model_message(file: WeightFile) -> str:
    names = list(file.raw)
    shown = names if len(names) <= 4 else [*names[:2], *names[-2:]]
    ends = ", ".join(f"{name} {list(file.raw[name].shape)}" for name in shown)
    told = f"names {file.architecture}, which there is not" if file.architecture else "does not tell its model"
    return (
        f"{file.path} is a {file.about} ({ends}), and {told}: "
        "give --model timm:NAME, --model torchvision:NAME or --model package.module:factory"
    )
