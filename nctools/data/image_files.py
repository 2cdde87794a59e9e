"""ImageFiles: images that are read from their files when they are needed, as uint8 tensors."""

from __future__ import annotations

import hashlib
import json
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from nctools.errors import DatasetError

# EXIF orientations that swap height and width.
_TURNED = frozenset({5, 6, 7, 8})


class ImageFiles:
    """Images in files, decoded on access; nothing is kept in memory but the paths.

    Any kind of picture becomes three channels of 8 bits: grey and palette images are spread over RGB, transparency is
    left away, of 16 bits the upper 8 are kept, of an animation the first frame. A photograph is turned upright as its
    EXIF orientation says.

    Args:
        paths: Files, absolute or relative to the working folder of now. They are not opened before they are needed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (5, 4), 200).save(f"{folder}/grey.png")
        ...     image = ImageFiles([f"{folder}/grey.png"])[0]
        >>> image.shape, image.dtype, image.unique()
        (torch.Size([3, 4, 5]), torch.uint8, tensor([200], dtype=torch.uint8))
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        # Strings, not Path objects: they are smaller, and there may be a million to send to each worker process.
        self.paths: list[str] = [str(Path(path).absolute()) for path in paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """Decode one image.

        Args:
            index: Its place, negative from the end.

        Returns:
            uint8 ``[3, H, W]``.

        Raises:
            DatasetError: If the file is missing, is no image, or cannot be decoded; it names file and reason.
        """
        return _decoded(self.paths[operator.index(index)])

    def __iter__(self) -> Iterator[Tensor]:
        return map(_decoded, self.paths)

    def __repr__(self) -> str:
        return f"ImageFiles({len(self)} files)"

    def size_of(self, index: int) -> tuple[int, int]:
        """Tell how large an image is, without decoding it.

        Args:
            index: Its place.

        Returns:
            Height and width in pixels, turned upright.

        Raises:
            DatasetError: If the file is missing or no image.
        """
        path = self.paths[operator.index(index)]
        try:
            with open(path, "rb") as file, Image.open(file) as image:  # noqa: PTH123 - as for decoding
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
        except Exception as error:  # as for decoding
            raise DatasetError(f"{path}: {_reason(error)}") from error
        return (width, height) if turned else (height, width)

    def fingerprint(self) -> str:
        """Tell whether the files are still the same, without reading them.

        Returns:
            SHA-256, in hexadecimal, over name (below the folder that all files share), size and time of modification
            of each file, in their order. The place of that folder does not count.

        Raises:
            DatasetError: If a file is missing.
        """
        digest = hashlib.sha256()
        folders = {str(Path(path).parent) for path in self.paths}
        start = len(os.path.commonpath(folders)) if folders else 0
        for path in self.paths:
            try:
                status = Path(path).stat()
            except OSError as error:
                raise DatasetError(f"{path}: {_reason(error)}") from error
            name = path[start:].replace(os.sep, "/").lstrip("/")
            digest.update(json.dumps([name, status.st_size, status.st_mtime_ns]).encode())
        return digest.hexdigest()


def _decoded(path: str) -> Tensor:
    try:
        with open(path, "rb") as file, Image.open(file) as image:  # noqa: PTH123 - a Path per image costs time
            ImageOps.exif_transpose(image, in_place=True)
            pixels = _rgb(image)
    except Exception as error:  # a broken file makes the decoders fail in a dozen ways, not in OSError alone
        raise DatasetError(f"{path}: {_reason(error)}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    # The pixels [H, W, 3], in memory of their own, as torch wants them.
    if image.mode.startswith("I"):
        grey = np.asarray(image)  # PIL would cut off at 255 what is brighter, that is nearly everything
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ValueError(
                f"holds integers from {grey.min()} to {grey.max()}, more than 16 bits: save it as 8-bit RGB"
            )
        return np.repeat((grey >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("holds floating-point pixels, of which nothing says what is white: save it as 8-bit RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns otherwise, once per image
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "this image file does not exist: was it moved, or is the root another folder?"
        case IsADirectoryError():
            return "is a folder, not an image file"
        case UnidentifiedImageError():
            return "is empty or no image that can be read (whatever it is called): replace the file or leave it out"
        case Image.DecompressionBombError():
            return f"too many pixels for an image to be trusted ({error}): make it smaller first"
        case OSError() if error.strerror:
            return f"cannot be read: {error.strerror}"
    return f"cannot be decoded: {error or type(error).__name__}"
