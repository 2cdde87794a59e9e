"""VOC-LT at full size on made-up images: every command on 16,492 files, counts against the published ones.

    python analysis/benchmarks/full_size_voc.py LABELS.npz             # some minutes, about 150 MB of disk
    python analysis/benchmarks/full_size_voc.py LABELS.npz --keep DIR  # keeps the tree and the run there

LABELS.npz has the arrays ``labels`` (0 or 1, [11540, 20]) and ``image_ids`` of VOC2012 trainval in the order of
trainval.txt, for example made of the annotations of one's own copy. The pictures are patches of colour, one for each
class that the image holds; the test set is made up with as many images of each class as VOC2007 test has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nctools.data import PUBLISHED_SPLITS, VOC_CLASSES

# Images of each class in VOC2007 test, difficult objects counted.
TEST_COUNTS = (205, 250, 289, 176, 240, 183, 775, 332, 545, 127, 247, 433, 279, 233, 2097, 254, 98, 355, 259, 255)
NUM_TEST = 4952


def test_labels(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Label sets ``[4952, 20]`` with the class counts of VOC2007 test, at least one label in each image."""
    slots = rng.permutation(np.repeat(np.arange(len(TEST_COUNTS)), TEST_COUNTS))
    labels = np.zeros((NUM_TEST, len(TEST_COUNTS)), dtype=np.uint8)
    labels[np.arange(NUM_TEST), slots[:NUM_TEST]] = 1
    for class_index in slots[NUM_TEST:]:
        without = np.flatnonzero(labels[:, class_index] == 0)
        labels[rng.choice(without), class_index] = 1
    return labels


def write_year(folder: Path, image_set: str, ids: list[str], labels: NDArray[np.uint8], pixels: int) -> None:
    """Write pictures, annotations and the list of one year as VOC lays them out."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "ImageSets/Main" / f"{image_set}.txt").write_text("".join(f"{name}\n" for name in ids))
    rng = np.random.default_rng(1)
    colours = rng.integers(40, 256, size=(len(VOC_CLASSES), 3), dtype=np.uint8)
    side = pixels // 6
    for name, present in zip(ids, labels, strict=True):
        picture = rng.integers(0, 40, size=(pixels * 3 // 4, pixels, 3), dtype=np.uint8)
        objects = []
        for class_index in np.flatnonzero(present):
            top, left = rng.integers(0, pixels * 3 // 4 - side), rng.integers(0, pixels - side)
            picture[top : top + side, left : left + side] = colours[class_index]
            box = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{left + side}</xmax><ymax>{top + side}</ymax>"
            objects.append(
                f"<object><name>{VOC_CLASSES[class_index]}</name><pose>Unspecified</pose><truncated>0</truncated>"
                f"<difficult>0</difficult><bndbox>{box}</bndbox></object>"
            )
        Image.fromarray(picture).save(folder / "JPEGImages" / f"{name}.jpg", quality=80)
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><size><width>{pixels}</width>"
            f"<height>{pixels * 3 // 4}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
        )


def run(*arguments: str, folder: Path) -> tuple[str, float]:
    """Run a command of nctools; its output and its time in seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "nctools", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    print(f"{seconds:7.1f} s  nctools {' '.join(arguments)}", flush=True)
    return done.stdout, seconds


def check(what: str, found: object, expected: object) -> bool:
    """Print whether a fact is as published."""
    print(
        f"           {'ok  ' if found == expected else 'DIFFERS'} {what}: {found}"
        + ("" if found == expected else f", published {expected}")
    )
    return found == expected


def study(labels: Path, folder: Path, pixels: int) -> bool:
    """Make the tree, run the commands, compare."""
    with np.load(labels, allow_pickle=False) as given:
        train, ids = given["labels"].astype(np.uint8), [str(name) for name in given["image_ids"]]
    root = folder / "VOCdevkit"
    start = time.perf_counter()
    write_year(root / "VOC2012", "trainval", ids, train, pixels)
    names = [f"{number:06d}" for number in range(1, 2 * NUM_TEST, 2)]
    write_year(root / "VOC2007", "test", names, test_labels(np.random.default_rng(0)), pixels)
    print(f"{time.perf_counter() - start:7.1f} s  writing {len(ids)} + {len(names)} pictures with annotations")
    data = ("--data-root", str(root))
    facts = PUBLISHED_SPLITS["voc_lt"]
    found = json.loads(run("data", "describe", "voc_lt", *data, "--json", "-", folder=folder)[0])
    good = [
        check("training images", found["num_images"], facts.num_images),
        check("class counts", found["class_counts"], list(facts.class_counts or ())),
        check("groups", [len(group) for group in found["groups"].values()], list(facts.group_sizes)),
    ]
    found = json.loads(run("data", "describe", "voc_lt", *data, "--split", "test", "--json", "-", folder=folder)[0])
    good += [check("test counts", found["class_counts"], list(TEST_COUNTS))]
    found = json.loads(run("data", "describe", "plt_voc", *data, "--json", "-", folder=folder)[0])
    good += [check("images of PLT-VOC", found["num_images"], PUBLISHED_SPLITS["plt_voc"].num_images)]
    small = ("--backbone", "small", "--epochs", "1", "--nc-every", "0", "--quiet")
    run("train", "erm", "--dataset", "voc_lt", *data, *small, "--out", "run", folder=folder)
    checkpoint = "run/checkpoints/last.pt"
    run("extract", checkpoint, "--out", "train.h5", "--quiet", folder=folder)
    run("measure", "train.h5", "--json", "nc.json", folder=folder)
    scores = json.loads(run("evaluate", checkpoint, "--json", "-", folder=folder)[0])
    good += [check("test images", scores["weights"]["raw"]["num_images"], NUM_TEST)]
    print(f"           test mAP after one epoch: {scores['weights']['raw']['mean_average_precision']}")
    return all(good)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, nargs="?", help=".npz with labels and image_ids of VOC2012 trainval")
    parser.add_argument("--keep", type=Path, help="folder for the tree and the run; default: removed at the end")
    parser.add_argument("--pixels", type=int, default=96, help="width of the pictures")
    given = parser.parse_args()
    if given.labels is None:
        print("skipped: it needs the labels of VOC2012 trainval, see --help")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(0 if study(given.labels.absolute(), folder, given.pixels) else 1)


if __name__ == "__main__":
    main()
