"""Data sets by name, samplers, transforms. The names load on first use, so the catalogue comes without torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nctools.data.annotations import Annotations, Problem
    from nctools.data.box_transform import input_boxes
    from nctools.data.boxes import Boxes
    from nctools.data.building import build_split
    from nctools.data.catalogue import DATASETS, DatasetEntry, dataset_entry
    from nctools.data.dataset import MultiLabelDataset
    from nctools.data.description import DatasetDescription, describe_dataset
    from nctools.data.digits_lt import build_digits_lt
    from nctools.data.epoch_sampler import EpochSampler
    from nctools.data.group_rules import groups_from, read_group_file
    from nctools.data.image_files import ImageFiles
    from nctools.data.label_vectors import read_label_vectors
    from nctools.data.loading import OpenedDataset, load_dataset, open_dataset, usual_preprocessing
    from nctools.data.long_tail import LongTail, build_long_tail, reference_counts
    from nctools.data.own.findings import ValidationReport
    from nctools.data.own.forms import OwnAnnotations, open_own
    from nctools.data.own.image_folder import load_image_folder
    from nctools.data.own.label_table import load_label_table
    from nctools.data.own.loading import class_names_of, data_from_factory, ids_of, load_own
    from nctools.data.own.validation import validate
    from nctools.data.paired_sampling import PairedDataset, PairedSampler
    from nctools.data.partial_labels import DroppedLabels, drop_labels
    from nctools.data.preprocessing import AUGMENTATIONS, PREPROCESSINGS, Preprocessing, preprocessing_named
    from nctools.data.published.facts import COCO_CLASSES, PUBLISHED_SPLITS, VOC_CLASSES, PublishedSplit
    from nctools.data.published.splits import import_published, published_groups
    from nctools.data.sampler_catalogue import SAMPLERS, SamplerEntry, build_sampler, sampler_entry
    from nctools.data.samplers import ClassAwareSampler
    from nctools.data.sets.coco import coco_annotations
    from nctools.data.sets.odir import odir_annotations
    from nctools.data.sets.visual_genome import vg_annotations
    from nctools.data.sets.voc import voc_annotations
    from nctools.data.settings import DataSettings
    from nctools.data.split_file import SplitFile, load_split, save_split
    from nctools.data.transforms import (
        ImageTransform,
        cell_shift,
        normalised,
        resized_and_cropped,
        test_transform,
        train_transform,
    )
    from nctools.data.weighted_samplers import ClassPriorSampler, ProgressivelyBalancedSampler, UniformSampler

_HOME = {
    "AUGMENTATIONS": "nctools.data.preprocessing",
    "Annotations": "nctools.data.annotations",
    "Boxes": "nctools.data.boxes",
    "COCO_CLASSES": "nctools.data.published.facts",
    "ClassAwareSampler": "nctools.data.samplers",
    "ClassPriorSampler": "nctools.data.weighted_samplers",
    "DATASETS": "nctools.data.catalogue",
    "DataSettings": "nctools.data.settings",
    "DatasetDescription": "nctools.data.description",
    "DatasetEntry": "nctools.data.catalogue",
    "DroppedLabels": "nctools.data.partial_labels",
    "EpochSampler": "nctools.data.epoch_sampler",
    "ImageFiles": "nctools.data.image_files",
    "ImageTransform": "nctools.data.transforms",
    "LongTail": "nctools.data.long_tail",
    "MultiLabelDataset": "nctools.data.dataset",
    "OpenedDataset": "nctools.data.loading",
    "OwnAnnotations": "nctools.data.own.forms",
    "PREPROCESSINGS": "nctools.data.preprocessing",
    "PUBLISHED_SPLITS": "nctools.data.published.facts",
    "PairedDataset": "nctools.data.paired_sampling",
    "PairedSampler": "nctools.data.paired_sampling",
    "Preprocessing": "nctools.data.preprocessing",
    "Problem": "nctools.data.annotations",
    "ProgressivelyBalancedSampler": "nctools.data.weighted_samplers",
    "PublishedSplit": "nctools.data.published.facts",
    "SAMPLERS": "nctools.data.sampler_catalogue",
    "SamplerEntry": "nctools.data.sampler_catalogue",
    "SplitFile": "nctools.data.split_file",
    "UniformSampler": "nctools.data.weighted_samplers",
    "VOC_CLASSES": "nctools.data.published.facts",
    "ValidationReport": "nctools.data.own.findings",
    "build_digits_lt": "nctools.data.digits_lt",
    "build_long_tail": "nctools.data.long_tail",
    "build_sampler": "nctools.data.sampler_catalogue",
    "build_split": "nctools.data.building",
    "cell_shift": "nctools.data.transforms",
    "class_names_of": "nctools.data.own.loading",
    "coco_annotations": "nctools.data.sets.coco",
    "data_from_factory": "nctools.data.own.loading",
    "dataset_entry": "nctools.data.catalogue",
    "describe_dataset": "nctools.data.description",
    "drop_labels": "nctools.data.partial_labels",
    "groups_from": "nctools.data.group_rules",
    "ids_of": "nctools.data.own.loading",
    "import_published": "nctools.data.published.splits",
    "input_boxes": "nctools.data.box_transform",
    "load_dataset": "nctools.data.loading",
    "load_image_folder": "nctools.data.own.image_folder",
    "load_label_table": "nctools.data.own.label_table",
    "load_own": "nctools.data.own.loading",
    "load_split": "nctools.data.split_file",
    "normalised": "nctools.data.transforms",
    "odir_annotations": "nctools.data.sets.odir",
    "open_dataset": "nctools.data.loading",
    "open_own": "nctools.data.own.forms",
    "preprocessing_named": "nctools.data.preprocessing",
    "published_groups": "nctools.data.published.splits",
    "read_group_file": "nctools.data.group_rules",
    "read_label_vectors": "nctools.data.label_vectors",
    "reference_counts": "nctools.data.long_tail",
    "resized_and_cropped": "nctools.data.transforms",
    "sampler_entry": "nctools.data.sampler_catalogue",
    "save_split": "nctools.data.split_file",
    "test_transform": "nctools.data.transforms",
    "train_transform": "nctools.data.transforms",
    "usual_preprocessing": "nctools.data.loading",
    "validate": "nctools.data.own.validation",
    "vg_annotations": "nctools.data.sets.visual_genome",
    "voc_annotations": "nctools.data.sets.voc",
}

__all__ = [
    "AUGMENTATIONS",
    "COCO_CLASSES",
    "DATASETS",
    "PREPROCESSINGS",
    "PUBLISHED_SPLITS",
    "SAMPLERS",
    "VOC_CLASSES",
    "Annotations",
    "Boxes",
    "ClassAwareSampler",
    "ClassPriorSampler",
    "DataSettings",
    "DatasetDescription",
    "DatasetEntry",
    "DroppedLabels",
    "EpochSampler",
    "ImageFiles",
    "ImageTransform",
    "LongTail",
    "MultiLabelDataset",
    "OpenedDataset",
    "OwnAnnotations",
    "PairedDataset",
    "PairedSampler",
    "Preprocessing",
    "Problem",
    "ProgressivelyBalancedSampler",
    "PublishedSplit",
    "SamplerEntry",
    "SplitFile",
    "UniformSampler",
    "ValidationReport",
    "build_digits_lt",
    "build_long_tail",
    "build_sampler",
    "build_split",
    "cell_shift",
    "class_names_of",
    "coco_annotations",
    "data_from_factory",
    "dataset_entry",
    "describe_dataset",
    "drop_labels",
    "groups_from",
    "ids_of",
    "import_published",
    "input_boxes",
    "load_dataset",
    "load_image_folder",
    "load_label_table",
    "load_own",
    "load_split",
    "normalised",
    "odir_annotations",
    "open_dataset",
    "open_own",
    "preprocessing_named",
    "published_groups",
    "read_group_file",
    "read_label_vectors",
    "reference_counts",
    "resized_and_cropped",
    "sampler_entry",
    "save_split",
    "test_transform",
    "train_transform",
    "usual_preprocessing",
    "validate",
    "vg_annotations",
    "voc_annotations",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nctools.data' has no attribute {name!r}; it has: {', '.join(__all__)}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
