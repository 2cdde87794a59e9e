"""How the file of a saved state is written and read: nothing in it can run code, and what is damaged is told."""

from __future__ import annotations

import os
import shlex
import zipfile
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from nctools._safe_torch import read_torch_file, write_torch_file
from nctools.errors import CheckpointError

# What a training goes on from: Lightning's own parts, the place in the data, the averaged weights.
_PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "RunDataModule", "nctools")


class StateFile(CheckpointIO):
    """Lightning's checkpoints as files on the disk. Its own way takes as much again in the folder for temporary files.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     StateFile().load_checkpoint(Path(folder) / "checkpoints" / "resume.ckpt")
        Traceback (most recent call last):
        nctools.errors.CheckpointError: ...resume.ckpt does not exist. ...
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        """Write a state.

        Args:
            checkpoint: Lightning's document.
            path: Target; ``SavedState`` gives a temporary one.
            storage_options: Not used.

        Raises:
            OSError: If it cannot be written.
        """
        write_torch_file(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a state.

        Args:
            path: ``RUN/checkpoints/resume.ckpt``.
            map_location: Not used: everything comes to the CPU, and Lightning takes it from there.
            weights_only: Not used: code is never run.

        Returns:
            Lightning's document.

        Raises:
            CheckpointError: If the file is missing, damaged, unsafe or no state of a training; it tells how to begin
                again.
        """
        path = Path(path)
        try:
            return _state(path)
        except CheckpointError as error:
            run = path.parent.parent
            again = shlex.join(["nctools", "train", "--config", str(run / "config.yaml"), "--out", str(run), "--force"])
            raise CheckpointError(f"{error}. The run cannot go on from it; begin again: {again}") from error

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a state.

        Args:
            path: The file; it may be missing.
        """
        Path(path).unlink(missing_ok=True)


def _state(path: Path) -> dict[str, Any]:
    content = read_torch_file(path)
    # Large files are mapped by the reader, which then checks no sums.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged (the checksum of {damaged} does not fit)")
    missing = [part for part in _PARTS if part not in content] if isinstance(content, dict) else list(_PARTS)
    if missing or not isinstance(content, dict):
        raise CheckpointError(f"{path} is not the saved state of a training (it lacks {', '.join(missing)})")
    return content
