"""Reads files of weights without ever running code from them, and says what is no such file; writes them."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shlex
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nctools.errors import CheckpointError

WEIGHT_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
# Larger files are mapped, so that the optimiser's state of a training checkpoint is never read from the disk.
_MAPPED = 64 * 2**20
_HEAD = 512
# First bytes of files that are often mistaken for weights.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the weights themselves: run `git lfs pull` in its repository"),
    (b"\x89HDF", "an HDF5 file: feature files go to `nctools measure`, Keras weights must be converted first"),
    (b"\x93NUMPY", "a NumPy array, not a file of weights"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
)


def read_torch_file(path: Path) -> object:
    """Read what ``torch.save`` wrote with ``weights_only=True``: nothing in the file can run code.

    Beside tensors and plain values, ``argparse.Namespace`` is accepted: timm keeps its settings in one, and building it
    sets attributes of a plain object only.

    Args:
        path: The file.

    Returns:
        The content, tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, is no file of weights, is damaged, or needs code to be read.
    """
    check_file(path)
    size, zipped = path.stat().st_size, zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals(_accepted()), warnings.catch_warnings():
            # Warnings here are about the format of the file (old storages, other pickle protocols).
            warnings.simplefilter("ignore")
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped and size > _MAPPED)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, " ".join(str(error).split()))) from error
    except Exception as error:  # the reader stumbles over damaged bytes in many ways
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint; it is damaged or incomplete ({reason})") from error
    return content


def write_torch_file(document: object, path: Path) -> None:
    """Write with ``torch.save``, onto the disk itself: a file that is renamed afterwards is whole after a power cut.

    Args:
        document: Tensors and plain values.
        path: The file.

    Raises:
        OSError: If the disk is full; torch alone would speak of an unexpected position.
        RuntimeError: If torch cannot write the document.
    """
    with path.open("wb") as stream:
        try:
            torch.save(document, stream)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        stream.flush()
        os.fsync(stream.fileno())


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Args:
        path: The file.

    Returns:
        Tensors by name, on the CPU, and the file's metadata.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    check_file(path)
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, dict(opened.metadata() or {})  # noqa: SIM118
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} is a damaged or incomplete safetensors file ({reason})") from error


def is_safetensors(path: Path) -> bool:
    """Tell by the content whether a file is in the safetensors format.

    Args:
        path: An existing file.

    Returns:
        True if it begins with a length and a JSON header, or bears the suffix.
    """
    with path.open("rb") as stream:
        head = stream.read(9)
    # A header of more than 100 MB is refused by the format itself; text read as a length is far larger.
    header_follows = len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000
    return header_follows or path.suffix == ".safetensors"


def check_file(path: Path) -> None:
    """Refuse what cannot be a file of weights, and say what it is.

    Args:
        path: What the user named.

    Raises:
        CheckpointError: If it does not exist, is a folder, is empty, or its first bytes are those of something else.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a directory, not a checkpoint. {_files_in(path)}")
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist. {_files_in(path.parent)}")
    what = _what_it_is(path)
    if what:
        raise CheckpointError(f"{path} holds no weights: it is {what}")


def _accepted() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    # torch forgets at the end what it is told here, also what the program had allowed before.
    return [] if argparse.Namespace in torch.serialization.get_safe_globals() else [argparse.Namespace]


def _files_in(folder: Path) -> str:
    names = (
        sorted(entry.name for entry in folder.iterdir() if entry.suffix in WEIGHT_SUFFIXES) if folder.is_dir() else []
    )
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    return f"Checkpoints in {folder}/: {shown or 'none'}"


def _what_it_is(path: Path) -> str:
    # What a file is that no reader of weights will read; "" if it may be weights.
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        return "empty (0 bytes): a download or a copy that failed"
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            return what
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page: the download gave an error page or a confirmation page; download it again"
    if head.startswith(b"PK\x03\x04"):
        return _what_archive(path)
    if _is_text(head):
        return f"a text file that begins with {head[:40].decode('utf-8', 'replace').strip()!r}"
    return ""


def _what_archive(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        return (
            f"a zip archive (the format of torch.save) that was cut off after {size} bytes: copy or download it again"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        return (
            "a TorchScript archive, which is code: save its weights with "
            "`torch.save(torch.jit.load(FILE).state_dict(), OUT)` if you trust it"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz), not a file of weights"
    return "" if "data.pkl" in inside else f"a zip archive of other files ({', '.join(names[:3])}): unpack it first"


def _is_text(head: bytes) -> bool:
    # Pickles of protocol 0 and 1 are nearly text, but end in a dot behind binary or opcode lines; torch writes 2.
    try:
        text = head.decode("utf-8") if len(head) < _HEAD else head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)


def _refusal(path: Path, reason: str) -> str:
    names = _refused_globals(path, reason)
    if not names:
        return f"{path} was not loaded: it is corrupt, or it holds more than tensors and plain values ({reason[:240]})"
    source, target = shlex.quote(str(path)), shlex.quote(f"{path.stem}.safetensors")
    shown = ", ".join(names[:6]) + (f", ... ({len(names)} in all)" if len(names) > 6 else "")
    return (
        f"{path} was not loaded: it holds more than tensors and plain values ({shown}), and reading those runs code. "
        f"If you trust where it comes from: `nctools convert --i-trust-this-file {source} {target}` "
        "runs the code in the file (only for files you trust) and writes its tensors alone"
    )


def _refused_globals(path: Path, reason: str) -> list[str]:
    try:
        names = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a file in the old format, or one that is damaged as well
        names = set(re.findall(r"(?:GLOBAL|class|global) ([\w.]+\.\w+)", reason))
    return sorted(names - {"argparse.Namespace"})
