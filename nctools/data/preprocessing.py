"""How an image becomes the input of a model, as plain values that fit into a checkpoint. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nctools.errors import ConfigError, UnknownNameError

AUGMENTATIONS: dict[str, str] = {
    "none": "the image as it is",
    "cell_shift": "whole cells of 16 px, wrapped around, then up to 3 px with repeated borders (digits_lt)",
}


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation and training augmentation of a data set.

    Args:
        mean: Mean of each channel, of pixel values in [0, 1].
        std: Standard deviation of each channel, in the same unit; positive.
        augmentation: A name out of ``AUGMENTATIONS``; used in training only.

    Raises:
        ValueError: If ``mean`` and ``std`` differ in length or a deviation is not positive.
        UnknownNameError: If there is no such augmentation.

    Example:
        >>> Preprocessing(mean=(0.5,), std=(0.25,)).to_dict()
        {'mean': [0.5], 'std': [0.25], 'augmentation': 'none'}
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str = "none"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"`mean` has {len(self.mean)} values but `std` has {len(self.std)}: give one of each per image channel."
            )
        if not all(value > 0 for value in self.std):
            raise ValueError(f"`std` is {self.std}: every standard deviation must be positive.")
        if self.augmentation not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", self.augmentation, AUGMENTATIONS)

    def to_dict(self) -> dict[str, list[float] | str]:
        """Return the fields as lists and strings, ready for JSON, YAML and ``torch.save``."""
        return {"mean": list(self.mean), "std": list(self.std), "augmentation": self.augmentation}

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Preprocessing:
        """Build from what ``to_dict`` returned.

        Args:
            document: Mapping with the keys ``mean``, ``std`` and ``augmentation``.

        Returns:
            The same preprocessing.

        Raises:
            ConfigError: If a key is missing or unknown, or a value has the wrong type.

        Example:
            >>> settings = Preprocessing(mean=(0.5,), std=(0.25,))
            >>> Preprocessing.from_dict(settings.to_dict()) == settings
            True
        """
        expected = {"mean", "std", "augmentation"}
        if set(document) != expected:
            raise ConfigError(
                f"preprocessing has the keys {sorted(document)}; it needs exactly {sorted(expected)}: "
                "pass what Preprocessing.to_dict() returned."
            )
        augmentation = document["augmentation"]
        if not isinstance(augmentation, str):
            raise ConfigError(f"preprocessing: augmentation is {augmentation!r}; it must be a name.")
        return cls(_numbers("mean", document["mean"]), _numbers("std", document["std"]), augmentation)


def _numbers(key: str, values: object) -> tuple[float, ...]:
    if isinstance(values, (list, tuple)) and all(isinstance(value, (int, float)) for value in values):
        return tuple(float(value) for value in values)
    raise ConfigError(f"preprocessing: {key} is {values!r}; it must be a list of numbers, one per channel.")
