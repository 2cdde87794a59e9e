from __future__ import annotations

import io
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nctools.data.image_files import ImageFiles
from nctools.errors import DatasetError


def colours(height: int = 6, width: int = 9) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> ImageFiles:
    image.save(folder / name, **options)
    return ImageFiles([folder / name])


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_pixels_are_those_that_were_saved(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    files = saved(tmp_path, Image.fromarray(colours()), f"image.{suffix}", **options)
    assert files[0].dtype == torch.uint8
    assert files[0].equal(torch.from_numpy(colours()).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "P", "CMYK", "YCbCr"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(colours()).convert(mode)
    name = "image.jpg" if mode in {"CMYK", "YCbCr"} else "image.png"
    found = saved(tmp_path, image, name)[0]
    assert found.shape == (3, 6, 9)
    with Image.open(tmp_path / name) as again:
        assert found.equal(as_tensor(again.convert("RGB")))


def test_transparent_palette_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    files = saved(tmp_path, image, "image.png", transparency=bytes([0, 128]))
    assert files[0][:, 0].T.tolist() == [[10, 20, 30], [40, 50, 60]]


@pytest.mark.parametrize(("kind", "name"), [("uint16", "image.png"), ("uint16", "image.tif"), ("int32", "image.tif")])
def test_of_16_bits_the_upper_8_are_kept(tmp_path: Path, kind: str, name: str) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=kind)
    assert saved(tmp_path, Image.fromarray(values), name)[0][:, 0].tolist() == [[0, 0, 1, 128, 255]] * 3


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files = saved(tmp_path, Image.fromarray(colours()), f"{orientation}.png", exif=exif)
        with Image.open(files.paths[0]) as image:
            upright = ImageOps.exif_transpose(image)
        assert files[0].equal(as_tensor(upright)), orientation
        assert files[0].shape == ((3, 6, 9) if orientation < 5 else (3, 9, 6))


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert ImageFiles([tmp_path / "a.gif"])[0].flatten(1).unique(dim=1).T.tolist() == [[255, 0, 0]]


def test_sequence_keeps_paths_and_counts_from_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in range(3):
        Image.new("RGB", (2, 2), (value,) * 3).save(tmp_path / f"{value}.png")
    monkeypatch.chdir(tmp_path)
    files = ImageFiles(["0.png", "1.png", "2.png"])
    monkeypatch.chdir("/")  # relative paths were those of the folder of then
    assert len(files) == 3
    assert files.paths == [str(tmp_path / f"{value}.png") for value in range(3)]
    assert files[-1].unique().tolist() == [2]
    assert [int(image[0, 0, 0]) for image in files] == [0, 1, 2]
    assert repr(files) == "ImageFiles(3 files)"
    assert pickle.loads(pickle.dumps(files)).paths == files.paths
    with pytest.raises(IndexError):
        files[3]


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(colours(64, 64)).save(stream, "JPEG")
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def bomb() -> bytes:
    """A PNG that promises 30,000 x 30,000 pixels."""
    head = (30000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"", "is empty or no image"),
        (b"this is text, not a picture\n" * 50, "is empty or no image"),
        (jpeg()[: len(jpeg()) // 2], "truncated"),
        (bomb(), "too many pixels .* exceeds limit"),
    ],
    ids=["missing", "empty", "text", "half", "bomb"],
)
def test_files_that_cannot_be_read_are_named_with_the_reason(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"photo\.jpg: .*{message}") as caught:
        ImageFiles([path])[0]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_pixels_without_a_known_white_are_refused(tmp_path: Path) -> None:
    for values, message in [
        (np.array([[0.5]], dtype=np.float32), "floating-point"),
        (np.array([[70000]], dtype=np.int32), "integers from 70000 to 70000, more than 16 bits"),
    ]:
        with pytest.raises(DatasetError, match=message):
            saved(tmp_path, Image.fromarray(values), "image.tif")[0]
    with pytest.raises(DatasetError, match="is a folder"):
        ImageFiles([tmp_path])[0]


def test_fingerprint_sees_name_size_time_and_order_but_not_the_place(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        (root / "cat").mkdir(parents=True)
        for name in ("cat/a.png", "b.png"):
            Image.new("RGB", (4, 4)).save(root / name)
            os.utime(root / name, ns=(1, 1))
    files = ImageFiles([first / "cat/a.png", first / "b.png"])
    same = ImageFiles([second / "cat/a.png", second / "b.png"])
    assert files.fingerprint() == same.fingerprint()
    assert len(files.fingerprint()) == 64
    seen = {files.fingerprint(), ImageFiles(files.paths[::-1]).fingerprint(), ImageFiles([]).fingerprint()}
    os.utime(second / "b.png", ns=(1, 2))
    seen.add(same.fingerprint())
    (second / "b.png").write_bytes(b"other")
    os.utime(second / "b.png", ns=(1, 1))
    seen.add(same.fingerprint())
    (first / "b.png").rename(first / "c.png")
    seen.add(ImageFiles([first / "cat/a.png", first / "c.png"]).fingerprint())
    assert len(seen) == 6
    with pytest.raises(DatasetError, match=r"b\.png: .*does not exist"):
        files.fingerprint()
