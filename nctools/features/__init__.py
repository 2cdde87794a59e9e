"""Features of any model: hooks, extraction to a file, and reading it."""

from nctools.features.extraction import extract
from nctools.features.hooks import FeatureExtractor
from nctools.features.layers import LayerSpec, layer_names
from nctools.features.store import FeatureStore

__all__ = ["FeatureExtractor", "FeatureStore", "LayerSpec", "extract", "layer_names"]
