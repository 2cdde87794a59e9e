"""How a model is opened and what it is run over: the options that extracting, measuring and evaluating share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from torch import Tensor


class ForwardOptions(TypedDict, total=False):
    """How a model is opened and what it is run over; every entry may be left out.

    Keys:
        model: Architecture of a file of weights: ``"timm:resnet50"``, ``"torchvision:resnet18"`` or
            ``"package.module:factory"``. Checkpoints of nctools need none.
        model_args: Its arguments.
        weights: ``"raw"`` or ``"ema"``.
        dataset: Name of a data set; default: the one the checkpoint was trained on.
        data_root: Folder of that data set, or of the images that a table names.
        data: The user's own data instead: a folder with one folder per class, a CSV or JSON file of labels,
            ``"package.module:factory"``, or a ``DataLoader``.
        data_args: Arguments of that factory.
        data_settings: Choices about the data (the fields of ``nctools.data.DataSettings``); default: those of the
            checkpoint.
        image_size: Side of the square that images are resized and cropped to.
        mean: Mean of each channel, of pixels in [0, 1].
        std: Standard deviation of each channel.
        batch_size: Images per forward pass.
        workers: Processes that load images.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        autocast: ``"bfloat16"`` or ``"float16"`` runs the model under autocast; None in its own type.
        channels_last: Lay convolutions out channels last: faster on most machines.
    """

    model: str | None
    model_args: Mapping[str, object] | None
    weights: Literal["raw", "ema"]
    dataset: str | None
    data_root: str | None
    data: str | Path | Iterable[Sequence[Tensor]] | None
    data_args: Mapping[str, object] | None
    data_settings: Mapping[str, object] | None
    image_size: int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    batch_size: int
    workers: int
    device: str
    autocast: Literal["bfloat16", "float16"] | None
    channels_last: bool
