"""The data sets that have a name: what they are, where they come from, who builds them. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nctools.data.preprocessing import Preprocessing, preprocessing_named
from nctools.errors import UnknownNameError


@dataclass(frozen=True)
class DatasetEntry:
    """One row of the catalogue.

    Args:
        name: What the user types.
        title: One line about it.
        source: Where images and labels come from.
        builder: ``"module:function"``. Of sets that need a root, called as ``function(name, root, reading)``, it gives
            ``Parts``; of others, called as ``function(split, transform=...)``, the split.
        splits: Names of its splits; ``validation`` of others is set aside on request (``val_fraction``).
        needs_root: Whether a folder with the images must be given.
        preprocessing: Normalisation and augmentation unless the user chooses others.
    """

    name: str
    title: str
    source: str
    builder: str
    splits: tuple[str, ...]
    needs_root: bool
    preprocessing: Preprocessing


_PHOTOGRAPHS = "nctools.data.named_sets:published_parts"
_WHOLE = "nctools.data.named_sets:whole_parts"
_VOC_SOURCE = "VOC2012 trainval and VOC2007 test; DB loss (ECCV 2020)"
_COCO_SOURCE = "COCO train2017 and val2017; DB loss (ECCV 2020)"


def _photographs(name: str, title: str, source: str, *, recipe: str = "mlc_nc", builder: str = _WHOLE) -> DatasetEntry:
    return DatasetEntry(
        name=name,
        title=title,
        source=source,
        builder=builder,
        splits=("train", "test"),
        needs_root=True,
        preprocessing=preprocessing_named(recipe),
    )


DATASETS: dict[str, DatasetEntry] = {
    "digits_lt": DatasetEntry(
        name="digits_lt",
        title="Long-tailed scenes of handwritten digits in two hues, 20 classes, 48 x 48 RGB; embedded, no download",
        source="scikit-learn's load_digits (UCI optical recognition of handwritten digits), composed from a seed",
        builder="nctools.data.digits_lt:build_digits_lt",
        splits=("train", "validation", "test"),
        needs_root=False,
        # Mean and deviation of the train images of seed 0, to three digits.
        preprocessing=Preprocessing((0.115, 0.102, 0.108), (0.136, 0.091, 0.123), "cell_shift"),
    ),
    **{
        entry.name: entry
        for entry in (
            _photographs(
                "voc_lt",
                "VOC-LT (VOC-MLT): 1,142 long-tailed images, 20 classes; drawn from VOC alone, ids checked",
                _VOC_SOURCE,
                builder=_PHOTOGRAPHS,
            ),
            _photographs(
                "coco_lt",
                "COCO-LT (COCO-MLT): 1,909 long-tailed images, 80 classes",
                _COCO_SOURCE,
                builder=_PHOTOGRAPHS,
            ),
            _photographs(
                "plt_voc",
                "PLT-VOC: 2,569 images with about 30 % of the labels missing",
                "VOC2012 trainval and VOC2007 test; COMIC (ICCV 2023)",
                builder=_PHOTOGRAPHS,
            ),
            _photographs(
                "plt_coco",
                "PLT-COCO: 2,962 images with about 30 % of the labels missing",
                "COCO train2017 and val2017; COMIC (ICCV 2023)",
                builder=_PHOTOGRAPHS,
            ),
            _photographs("voc", "All of VOC2012 trainval (11,540 images) and VOC2007 test", "PASCAL VOC"),
            _photographs("coco", "All of COCO train2017 (118,287 images) and val2017", "Lin et al., ECCV 2014"),
            _photographs(
                "vg200",
                "Visual Genome, its 200 most frequent objects; 1,000 train and 4,000 test images",
                "Krishna et al., IJCV 2017; lists of MLC-NC (AAAI 2025)",
            ),
            _photographs(
                "odir5k",
                "ODIR-5K: photographs of both eyes, 8 diagnoses of each patient",
                "Peking University competition on ocular disease recognition, 2019",
                recipe="imagenet",
            ),
        )
    },
}
# Other names of the same sets.
ALIASES = {"voc_mlt": "voc_lt", "coco_mlt": "coco_lt", "vg": "vg200", "odir": "odir5k", "voc2012": "voc"}


def canonical_name(name: str) -> str:
    """Return the name under which a data set stands in ``DATASETS``, if it is another name of one.

    Args:
        name: What the user typed.

    Returns:
        The name itself, in lower case with ``_``, or what it is another name of.

    Example:
        >>> canonical_name("VOC-MLT"), canonical_name("digits_lt")
        ('voc_lt', 'digits_lt')
    """
    plain = name.lower().replace("-", "_")
    return ALIASES.get(plain, plain)


def dataset_entry(name: str) -> DatasetEntry:
    """Return the catalogue row of a data set.

    Args:
        name: A key of ``DATASETS``.

    Returns:
        Its row.

    Raises:
        UnknownNameError: If there is no such data set; near misses are listed.

    Example:
        >>> dataset_entry("digits_lt").splits
        ('train', 'validation', 'test')
    """
    known = canonical_name(name)
    if known not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    return DATASETS[known]
