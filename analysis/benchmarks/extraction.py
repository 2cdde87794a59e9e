"""Extraction and feature files: what they cost beside the forward pass, the disk and other layouts.

    python analysis/benchmarks/extraction.py              # a few minutes, 2 GB of disk
    python analysis/benchmarks/extraction.py --quick      # seconds: does it run?
    python analysis/benchmarks/extraction.py --parts write class

Every table compares ways that take turns in one process on one thread; numbers are medians. ``overhead`` times the
forward pass of a ResNet-50 with random weights at 224 pixels that ends in class-wise features, bare and with
``extract``, and the file alone (the same features from a model that only hands them on). ``write`` writes the same
features to a file of raw bytes. ``class`` reads one class of files with other chunks, with the file in the page cache
and after it was dropped from it (where the system does that). ``size`` counts bytes. ``forward`` runs the network in
other number formats. ``formats`` is float16 and compression, for information.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from _extraction_cases import (
    QUICK,
    Gated,
    Sizes,
    drop_from_cache,
    extract_features,
    feature_batches,
    label_sets,
    write_chunked,
)
from _machine import Timing, Way, in_turn, machine_facts, markdown, number, one_thread
from torch import Tensor, nn

from nctools import FeatureStore, extract


def overhead(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Forward pass bare, with extraction, and the extraction alone."""
    model = Gated(sizes).eval()
    images = torch.randn(sizes.batch, 3, sizes.pixels, sizes.pixels)
    data = [(images, labels) for labels in label_sets(sizes.batch * sizes.batches, sizes.classes).split(sizes.batch)]
    features = [(torch.randn(sizes.batch, sizes.classes, sizes.width), labels) for _, labels in data]

    def bare() -> None:
        with torch.inference_mode():
            for batch, _ in data:
                model(batch)

    def whole(pairs: str) -> object:
        layers = {"f": "classwise"}
        return extract(model, data, folder / "a.h5", layers=layers, pairs=pairs, progress=False, overwrite=True)  # type: ignore[arg-type]

    ways: dict[str, Way] = {"bare": bare}
    ways |= {f"{pairs} + forward": partial(whole, pairs) for pairs in ("all", "positive")}
    timed = in_turn(ways, sizes.runs)
    # Quick, so more runs; the fixed cost of a file is told apart by one batch against many.
    many = {
        pairs: partial(extract_features, features * 8, folder / "b.h5", pairs=pairs) for pairs in ("all", "positive")
    }
    once = {f"{pairs} once": partial(extract_features, features, folder / "b.h5", pairs=pairs) for pairs in many}
    alone = in_turn({**many, **once}, 2 * sizes.runs)
    forward = timed["bare"].cpu / sizes.batches
    for pairs, goal in (("all", "2 %"), ("positive", "0.2 %")):
        each = (alone[pairs].cpu - alone[f"{pairs} once"].cpu) / (7 * sizes.batches)
        fixed = alone[f"{pairs} once"].cpu - each * sizes.batches
        yield {
            "pairs kept": pairs,
            "forward, ms a batch": number(1e3 * forward),
            "with extract, ms": number(1e3 * timed[f"{pairs} + forward"].cpu / sizes.batches),
            "difference": number(100 * (timed[f"{pairs} + forward"].cpu / timed["bare"].cpu - 1), "+.2f") + " %",
            "file alone, ms a batch": number(1e3 * each),
            "file alone / forward": number(100 * each / forward, ".3f") + " %",
            "once a file, ms": number(1e3 * fixed),
            "goal": goal,
        }


def write(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Dense features by ``extract`` against the same bytes written raw."""
    # A file keeps each class together, a model gives image by image: "raw bytes" writes the memory as it is, "in the
    # order of the chunks" makes the copy too that a file of this order needs.
    data = feature_batches(sizes)
    size = sum(features.nbytes for features, _ in data)

    def raw(path: Path, *, turned: bool) -> None:
        with path.open("wb", buffering=0) as file:
            for features, _ in data:
                rows = features.transpose(0, 1).contiguous() if turned else features
                file.write(rows.numpy().data)

    def hdf5(path: Path) -> None:
        write_chunked(data, path, (64, 1, sizes.width))

    def whole(path: Path, shard_size: int) -> None:
        extract_features(data, path, pairs="all", shard_size=shard_size)

    def to_disk(way: Callable[[Path], object]) -> None:
        path = folder / "w.h5"
        path.unlink(missing_ok=True)
        way(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())

    ways: dict[str, Callable[[Path], object]] = {
        "raw bytes": partial(raw, turned=False),
        "raw bytes, in the order of the chunks": partial(raw, turned=True),
        "h5py, chunks (64, 1, D)": hdf5,
        "extract": partial(whole, shard_size=sizes.images),
        "extract, four shards put together": partial(whole, shard_size=sizes.images // 4),
    }
    timed = in_turn({name: partial(to_disk, way) for name, way in ways.items()}, sizes.runs)
    first = timed["raw bytes"]
    for name, timing in timed.items():
        yield {
            "way": name,
            "MB": number(size / 1e6, ".0f"),
            "MB/s of CPU time": number(size / 1e6 / timing.cpu, ".0f"),
            "MB/s until on the disk": number(size / 1e6 / timing.wall, ".0f"),
            "speed to raw, CPU": number(100 * first.cpu / timing.cpu, ".0f") + " %",
            "disk": number(100 * first.wall / timing.wall, ".0f") + " %",
            "goal": "70 %" if name == "extract" else "",
        }


def one_class(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """One class of all images from different chunks, and its positive pairs from a feature file."""
    data = feature_batches(sizes)
    layouts = {"(64, 1, D)": (64, 1), "(1, C, D)": (1, sizes.classes), "(64, C, D)": (64, sizes.classes)}
    paths = {name: folder / f"{index}.h5" for index, name in enumerate(layouts)}
    for name, (rows, classes) in layouts.items():
        write_chunked(data, paths[name], (rows, classes, sizes.width))
    store = extract_features(data, folder / "s.h5", pairs="all")
    names = {**paths, "of_class, its pairs": store.path}
    order = iter(range(10**9))

    def read(name: str) -> object:
        chosen = next(order) % sizes.classes
        if name not in paths:
            with store:
                return store.of_class("f", chosen)
        with h5py.File(paths[name], rdcc_nbytes=64 * 2**20) as file:
            return np.asarray(file["f"][:, chosen])

    warm: dict[str, list[float]] = {name: [] for name in names}
    cold: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(2 * sizes.runs):
        for name, path in names.items():
            path.read_bytes()
            started = time.perf_counter()
            read(name)
            warm[name].append(time.perf_counter() - started)
            if drop_from_cache(path):
                started = time.perf_counter()
                read(name)
                cold[name].append(time.perf_counter() - started)
    ours = statistics.median(warm["(64, 1, D)"]), statistics.median(cold["(64, 1, D)"] or [float("nan")])
    for name in names:
        medians = statistics.median(warm[name]), statistics.median(cold[name] or [float("nan")])
        yield {
            "layout": name,
            "warm, ms": number(1e3 * medians[0]),
            "cold, ms": number(1e3 * medians[1]),
            "to (64, 1, D), warm": number(medians[0] / ours[0], ".1f"),
            "cold": number(medians[1] / ours[1], ".1f"),
            "goal": "5" if name in {"(1, C, D)", "(64, C, D)"} else "",
        }


def size(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Bytes of a file with the positive pairs against one with all pairs."""
    data = feature_batches(sizes)
    stores = {pairs: extract_features(data, folder / f"{pairs}.h5", pairs=pairs) for pairs in ("all", "positive")}
    found = {pairs: store.path.stat().st_size for pairs, store in stores.items()}
    labels = float(stores["all"].targets.sum()) / sizes.images
    for pairs, value in found.items():
        yield {
            "pairs kept": pairs,
            "labels an image": number(labels),
            "KB an image": number(value / 1e3 / sizes.images, ".1f"),
            "times smaller": number(found["all"] / value, ".1f"),
            "goal": "20" if pairs == "positive" else "",
        }


def forward(sizes: Sizes, _folder: Path) -> Iterator[dict[str, str]]:
    """The forward pass in other layouts and number formats."""
    images = torch.randn(sizes.batch, 3, sizes.pixels, sizes.pixels)
    plain, last = Gated(sizes).eval(), Gated(sizes).eval()
    for parameter in last.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    images_last = images.to(memory_format=torch.channels_last)

    def run(model: nn.Module, batch: Tensor, dtype: torch.dtype | None) -> object:
        half = nullcontext() if dtype is None else torch.autocast("cpu", dtype)
        with torch.inference_mode(), half:
            return model(batch)

    ways = {
        "default": partial(run, plain, images, None),
        "channels_last": partial(run, last, images_last, None),
        "bfloat16": partial(run, plain, images, torch.bfloat16),
        "bfloat16, channels_last": partial(run, last, images_last, torch.bfloat16),
    }
    timed = in_turn(ways, sizes.runs)
    for name, timing in timed.items():
        yield {
            "forward": name,
            "images a second of CPU time": number(sizes.batch / timing.cpu),
            "times faster": number(timed["default"].cpu / timing.cpu, ".2f"),
            "expected": {"channels_last": "2", "bfloat16, channels_last": "4"}.get(name, ""),
        }


def formats(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Size and speed of float16 and of compression, on normal features and after a ReLU."""
    options: dict[str, dict[str, object]] = {"none": {}, "lzf": {"compression": "lzf"}}
    options["gzip 1"] = {"compression": "gzip", "compression_opts": 1}
    try:
        plugin = importlib.import_module("hdf5plugin")
    except ModuleNotFoundError:
        print("hdf5plugin is not installed: zstd and blosc left out", file=sys.stderr)
    else:
        options["zstd 3"] = dict(plugin.Zstd(clevel=3))
        options["blosc lz4, bitshuffle"] = dict(plugin.Blosc("lz4", shuffle=plugin.Blosc.BITSHUFFLE))
    for kind in ("normal", "after ReLU"):
        data = feature_batches(sizes, relu=kind != "normal")[:4]
        raw = sum(features.nbytes for features, _ in data)
        path = folder / "c.h5"
        for name, chosen in options.items():
            packed = partial(write_chunked, data, path, (64, 1, sizes.width), **chosen)
            ways: dict[str, Way] = {"write": packed, "read": partial(read_whole, path)}
            timed = in_turn(ways, min(3, sizes.runs))
            yield _format_row(kind, f"float32, {name}", raw, path.stat().st_size, timed)
        half = partial(extract_features, data, path, pairs="all", dtype="float16")
        timed = in_turn({"write": half, "read": partial(read_layer, path)}, min(3, sizes.runs))
        yield _format_row(kind, "extract with dtype float16", raw, path.stat().st_size, timed)


def read_whole(path: Path) -> object:
    """Read all features."""
    with h5py.File(path) as file:
        return file["f"][()]


def read_layer(path: Path) -> object:
    """Read all features of a feature file, as float32."""
    return FeatureStore(path).features("f")


def _format_row(kind: str, name: str, raw: int, stored: int, timed: Mapping[str, Timing]) -> dict[str, str]:
    return {
        "features": kind,
        "format": name,
        "size to float32": number(stored / raw, ".2f"),
        "write MB/s": number(raw / 1e6 / timed["write"].cpu, ".0f"),
        "read MB/s": number(raw / 1e6 / timed["read"].cpu, ".0f"),
    }


PARTS = {
    "overhead": overhead,
    "write": write,
    "class": one_class,
    "size": size,
    "forward": forward,
    "formats": formats,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="where to write the files (default: the system's)")
    options = parser.parse_args()
    one_thread()
    sizes = QUICK if options.quick else Sizes()
    print(f"{machine_facts()}\n{sizes}\n")
    for name in options.parts:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rows = list(PARTS[name](sizes, Path(folder)))
        print(f"{(PARTS[name].__doc__ or '').strip()}\n\n{markdown(rows)}", flush=True)


if __name__ == "__main__":
    main()
