"""Features of any model: hooks, extraction to a file, reading it, and other programs' files."""

from nctools.features.classifier import FoundClassifier, find_classifier
from nctools.features.exchange import export_store, import_arrays
from nctools.features.extraction import extract
from nctools.features.hooks import FeatureExtractor
from nctools.features.layers import LayerSpec, layer_names
from nctools.features.listing import LayerRow, list_layers
from nctools.features.store import FeatureStore

__all__ = [
    "FeatureExtractor",
    "FeatureStore",
    "FoundClassifier",
    "LayerRow",
    "LayerSpec",
    "export_store",
    "extract",
    "find_classifier",
    "import_arrays",
    "layer_names",
    "list_layers",
]
