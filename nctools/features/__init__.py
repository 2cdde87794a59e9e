"""Features of any model: hooks, extraction to a file, reading it, and other programs' files."""

from nctools.features.exchange import export_store, import_arrays
from nctools.features.extraction import extract
from nctools.features.hooks import FeatureExtractor
from nctools.features.layers import LayerSpec, layer_names
from nctools.features.store import FeatureStore

__all__ = [
    "FeatureExtractor",
    "FeatureStore",
    "LayerSpec",
    "export_store",
    "extract",
    "import_arrays",
    "layer_names",
]
