"""Images a second of the training loader, against the bare operations.

    python analysis/benchmarks/data_pipeline.py            # about a minute, 50 MB of disk for a while
    python analysis/benchmarks/data_pipeline.py --quick    # seconds: does it run?

``digits_lt`` lies in memory; its batches are indexed, moved and normalised as a whole. ``by hand`` does these three
without data set, sampler and loader. ``photographs`` are made-up JPEGs of 500 x 375 px, prepared as MLC-NC has it: a
random part of each at 224 px, mirrored, its colours changed. ``by hand`` does it with PIL in a plain loop, with mirror
and colours (brightness, contrast and saturation in random order) and without; ``decoding alone`` reads the pixels and
does nothing else. The ways take turns, on one thread for each process; numbers are medians. CPU milliseconds are those
of all processes together, images a second are of wall time, which everybody on the machine changes. The last table
tells where the time of a photograph goes.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _machine import Way, in_turn, machine_facts, markdown, number, one_thread
from PIL import Image, ImageEnhance
from torch import Tensor

from nctools.data import (
    ImageFiles,
    MultiLabelDataset,
    load_dataset,
    normalised,
    preprocessing_named,
    train_transform,
    usual_preprocessing,
)
from nctools.training import RunDataModule, make_config

_WORKERS = 2
_PREPROCESSING = preprocessing_named("mlc_nc")
_SIDE = _PREPROCESSING.side or 224
_COLOURS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def through_loader(data: MultiLabelDataset, settings: Mapping[str, object], workers: int) -> None:
    """One epoch of the training loader; its processes have ended when this returns."""
    recipe = make_config("mlc_nc", "digits_lt", settings).recipe
    loader = RunDataModule(data, None, recipe, seed=0, workers=workers).train_dataloader()
    for _images, _targets in loader:
        pass


def digits_by_hand(data: MultiLabelDataset, batch: int) -> None:
    """Index, transform, look up the labels: a batch at a time."""
    images, transform = data.images, data.transform
    assert isinstance(images, Tensor)
    assert transform is not None
    for rows in torch.randperm(len(data))[: len(data) // batch * batch].split(batch):
        transform(images[rows])
        data.targets[rows]


def decoded_alone(paths: list[str]) -> None:
    """Read the pixels."""
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))


def prepared_by_hand(paths: list[str], batch: int, *, colours: bool) -> None:
    """Read the pixels, cut and resize a random part, change it, put batches together and normalise them."""
    rng = np.random.default_rng(0)
    for start in range(0, len(paths), batch):
        parts = []
        for path in paths[start : start + batch]:
            with Image.open(path) as image:
                picture = image.convert("RGB")
            share = np.sqrt(rng.uniform(0.08, 1))
            width, height = share * picture.width, share * picture.height
            left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
            box = (left, top, left + width, top + height)
            small = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box)
            for change in rng.permutation(list(_COLOURS)) if colours else ():
                small = _COLOURS[change](small).enhance(rng.uniform(0.6, 1.4))
            if colours and rng.random() < 0.5:
                small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            parts.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
        normalised(torch.stack(parts), _PREPROCESSING.mean, _PREPROCESSING.std)


def timed(ways: Mapping[str, Way], images: int, runs: int) -> list[dict[str, str | float]]:
    """Run the ways in turn, first to warm up where there are several turns.

    CPU time is taken with that of the processes that a way started and that have ended.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for run in range(-(runs > 1), runs):
        for name, way in ways.items():
            cpu, wall = _cpu_seconds(), time.perf_counter()
            way()
            if run >= 0:
                found[name].append((_cpu_seconds() - cpu, time.perf_counter() - wall))
    rows: list[dict[str, str | float]] = []
    for name, seconds in found.items():
        cpu, wall = (statistics.median(column) for column in zip(*seconds, strict=True))
        rows.append({"way": name, "cpu_ms_an_image": 1e3 * cpu / images, "images_per_second": images / wall})
    return rows


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def write_photographs(folder: Path, count: int, size: tuple[int, int]) -> list[str]:
    """Write JPEGs as large as those of VOC: smooth areas under a little noise."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(count):
        blocks = rng.integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + rng.integers(-20, 21, size=(*smooth.shape[:2], 1), dtype=np.int16)
        paths.append(str(folder / f"{index:04d}.jpg"))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=85)
    return paths


def digits(runs: int) -> Iterator[dict[str, str | float]]:
    """The embedded data."""
    transform = train_transform(usual_preprocessing("digits_lt"))
    data = load_dataset("digits_lt", "train", transform=transform)
    batch = make_config("mlc_nc", "digits_lt").recipe.batch_size
    ways: dict[str, Way] = {
        "loader": partial(through_loader, data, {}, 0),
        f"loader, {_WORKERS} workers": partial(through_loader, data, {}, _WORKERS),
        "by hand": partial(digits_by_hand, data, batch),
    }
    for row in timed(ways, len(data) // batch * batch, runs):
        yield {"data": "digits_lt", **row}


def photographs(paths: list[str], batch: int, runs: int) -> Iterator[dict[str, str | float]]:
    """Images in files."""
    targets = torch.zeros(len(paths), 20)
    targets[torch.arange(len(paths)), torch.arange(len(paths)) % 20] = 1
    names = [f"class {index}" for index in range(20)]
    data = MultiLabelDataset(ImageFiles(paths), targets, names, {}, transform=train_transform(_PREPROCESSING))
    settings = {"sampler": "uniform", "epoch_length": "images", "batch_size": batch}
    ways: dict[str, Way] = {
        "loader": partial(through_loader, data, settings, 0),
        f"loader, {_WORKERS} workers": partial(through_loader, data, settings, _WORKERS),
        "by hand": partial(prepared_by_hand, paths, batch, colours=True),
        "by hand, without mirror and colours": partial(prepared_by_hand, paths, batch, colours=False),
        "decoding alone": partial(decoded_alone, paths),
    }
    for row in timed(ways, len(paths), runs):
        yield {"data": "photographs", **row}


def stages(paths: list[str], runs: int) -> Iterator[dict[str, str | float]]:
    """Where the time of a photograph goes, a stage at a time over all of them."""
    files = ImageFiles(paths)
    whole = list(files)
    from torchvision.transforms import v2

    # The operations that the recipe is made of.
    resized_part, flip, colour_jitter = (
        v2.RandomResizedCrop(_SIDE),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(*[0.4] * 3),
    )
    parts = [resized_part(image) for image in whole]
    ready = normalised(torch.stack(parts), _PREPROCESSING.mean, _PREPROCESSING.std).unbind()
    ways: dict[str, Way] = {
        "read and decoded": lambda: [None for _ in files],
        "part cut and resized": lambda: [resized_part(image) for image in whole],
        "mirrored": lambda: [flip(image) for image in parts],
        "colours": lambda: [colour_jitter(image) for image in parts],
        "normalised": lambda: [normalised(image, _PREPROCESSING.mean, _PREPROCESSING.std) for image in parts],
        "put into a batch": lambda: torch.stack(ready),
    }
    for name, timing in in_turn(ways, runs).items():
        yield {"stage": name, "cpu_ms_an_image": 1e3 * timing.cpu / len(paths)}


def printed(rows: list[dict[str, str | float]], bare: str | None) -> str:
    """Write rows as a table; with the share of the bare way, if one is named."""
    base = next((float(row["cpu_ms_an_image"]) for row in rows if row.get("way") == bare), float("nan"))
    lines = []
    for row in rows:
        line = {name: str(value) for name, value in row.items() if isinstance(value, str)}
        line["CPU ms an image"] = number(float(row["cpu_ms_an_image"]))
        if bare is not None:
            line["images a second"] = number(float(row["images_per_second"]), ".0f")
            line[f"CPU to {bare}"] = number(float(row["cpu_ms_an_image"]) / base, ".2f")
        lines.append(line)
    return markdown(lines)


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few small photographs, one run")
    parser.add_argument("--runs", type=int, default=5, help="turns of each way (default 5)")
    parser.add_argument("--out", type=Path, help="folder for CSV files of the tables")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}: give at least 1")
    count, size, batch, runs = (24, (100, 75), 8, 1) if options.quick else (500, (500, 375), 50, options.runs)
    one_thread()
    print(f"{machine_facts()}\n", flush=True)
    found = {"digits": list(digits(runs))}
    print(printed(found["digits"], "by hand"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photographs(Path(folder), count, size)
        print(f"{count} JPEGs of {sum(Path(path).stat().st_size for path in paths) / count / 1e3:.0f} KB\n")
        found["photographs"] = list(photographs(paths, batch, runs))
        print(printed(found["photographs"], "by hand"), flush=True)
        found["stages"] = list(stages(paths[: max(1, count // 4)], runs))
        print(printed(found["stages"], None))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, rows in found.items():
            pd.DataFrame(rows).to_csv(options.out / f"data_pipeline_{name}.csv", index=False)


if __name__ == "__main__":
    main()
