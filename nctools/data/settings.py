"""DataSettings: choices that change what a data set of photographs holds, as plain values. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, cast, get_args

from nctools.errors import ConfigError, UnknownNameError

Difficult = Literal["include", "exclude", "ignore"]


@dataclass(frozen=True)
class DataSettings:
    """Which labels count, what is set aside, how classes are grouped; a checkpoint keeps them.

    Args:
        difficult: Objects that VOC marks difficult: ``"include"`` them as present (DB loss, MLC-NC, LMPT, CPRFL),
            ``"exclude"`` them (COMIC), or ``"ignore"``: neither present nor absent, left out of loss and AP.
        drop_unlabelled: Leave out images without any label, but in training (48 of COCO val2017).
        val_fraction: Share of the training images that become the split ``validation``; 0: there is none.
        drop_labels: Probability with which each training label is dropped (partial labels).
        groups: ``"HEAD,MEDIUM"`` thresholds, ``"quantiles:0.33,0.67"`` or a JSON file of named groups; None: 100, 20.
        seed: Of the validation images and the dropped labels.

    Raises:
        UnknownNameError: If ``difficult`` is none of the three.
        ValueError: If a share is out of range or the seed is negative.

    Example:
        >>> DataSettings.from_dict(DataSettings(val_fraction=0.1).to_dict()).val_fraction
        0.1
    """

    difficult: Difficult = "include"
    drop_unlabelled: bool = False
    val_fraction: float = 0.0
    drop_labels: float = 0.0
    groups: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.difficult not in get_args(Difficult):
            raise UnknownNameError("choice for difficult objects", self.difficult, get_args(Difficult))
        for name in ("val_fraction", "drop_labels"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}: give a share of at least 0 and less than 1.")
        if self.seed < 0:
            raise ValueError(f"`seed` is {self.seed}: it must not be negative.")

    def to_dict(self) -> dict[str, object]:
        """Return the fields as numbers and strings, ready for JSON, YAML and ``torch.save``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> DataSettings:
        """Build from what ``to_dict`` returned.

        Args:
            document: Names and values; what is missing keeps its default.

        Returns:
            The settings.

        Raises:
            ConfigError: If a key is unknown or a value has the wrong type.
        """
        known = {entry.name: type(entry.default) for entry in fields(cls)}
        for key, value in document.items():
            if key not in known:
                raise ConfigError(f"unknown data setting {key!r}; there are: {', '.join(known)}")
            kinds = (float, int) if known[key] is float else (str, type(None)) if key == "groups" else (known[key],)
            if not isinstance(value, kinds) or (isinstance(value, bool) and known[key] is not bool):
                raise ConfigError(f"data setting {key} is {value!r}; it must be of type {kinds[0].__name__}")
        return cls(**cast("dict[str, str]", dict(document)))  # type: ignore[arg-type]
