"""nctools: neural collapse for long-tailed, multi-label image classification.

The public names load on first use, so ``import nctools`` pulls in neither torch nor anything heavier.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nctools import (
        collapse,
        data,
        evaluation,
        features,
        figures,
        losses,
        methods,
        models,
        plots,
        report,
        studies,
        training,
    )
    from nctools.checkpoints import evaluate_checkpoint, extract_checkpoint
    from nctools.collapse.result import CollapseResult, load_result
    from nctools.features.extraction import extract
    from nctools.features.hooks import FeatureExtractor
    from nctools.features.maps.making import class_maps
    from nctools.features.maps.result import ClassMaps, load_class_maps
    from nctools.features.store import FeatureStore
    from nctools.localisation import localise
    from nctools.measurement import measure
    from nctools.metric import NeuralCollapse
    from nctools.run_evaluation import evaluate_runs
    from nctools.watching import watch

_HOME = {
    "ClassMaps": "nctools.features.maps.result",
    "CollapseResult": "nctools.collapse.result",
    "FeatureExtractor": "nctools.features.hooks",
    "FeatureStore": "nctools.features.store",
    "NeuralCollapse": "nctools.metric",
    "class_maps": "nctools.features.maps.making",
    "evaluate_checkpoint": "nctools.checkpoints",
    "evaluate_runs": "nctools.run_evaluation",
    "extract": "nctools.features.extraction",
    "extract_checkpoint": "nctools.checkpoints",
    "load_class_maps": "nctools.features.maps.result",
    "load_result": "nctools.collapse.result",
    "localise": "nctools.localisation",
    "measure": "nctools.measurement",
    "watch": "nctools.watching",
}
_FOLDERS = (
    "collapse",
    "data",
    "evaluation",
    "features",
    "figures",
    "losses",
    "methods",
    "models",
    "plots",
    "report",
    "studies",
    "training",
)

__all__ = [
    "ClassMaps",
    "CollapseResult",
    "FeatureExtractor",
    "FeatureStore",
    "NeuralCollapse",
    "__version__",
    "class_maps",
    "collapse",
    "data",
    "evaluate_checkpoint",
    "evaluate_runs",
    "evaluation",
    "extract",
    "extract_checkpoint",
    "features",
    "figures",
    "load_class_maps",
    "load_result",
    "localise",
    "losses",
    "measure",
    "methods",
    "models",
    "plots",
    "report",
    "studies",
    "training",
    "watch",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value: object = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _FOLDERS:
        value = importlib.import_module(f"nctools.{name}")
    else:
        raise AttributeError(f"module 'nctools' has no attribute {name!r}; it has: {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
