"""Features of any model: hooks, extraction to a file, reading it, and other programs' files."""

from nctools.features.classifier import FoundClassifier, find_classifier
from nctools.features.embedding_cache import embeddings_beside, read_embeddings, reduce_once
from nctools.features.exchange import export_store, import_arrays
from nctools.features.extraction import extract
from nctools.features.hooks import FeatureExtractor
from nctools.features.layers import LayerSpec, layer_names
from nctools.features.listing import LayerRow, list_layers
from nctools.features.maps import MAP_METHODS, ClassMaps, class_maps, load_class_maps
from nctools.features.reduction import Embedding, reduce
from nctools.features.store import FeatureStore

__all__ = [
    "MAP_METHODS",
    "ClassMaps",
    "Embedding",
    "FeatureExtractor",
    "FeatureStore",
    "FoundClassifier",
    "LayerRow",
    "LayerSpec",
    "class_maps",
    "embeddings_beside",
    "export_store",
    "extract",
    "find_classifier",
    "import_arrays",
    "layer_names",
    "list_layers",
    "load_class_maps",
    "read_embeddings",
    "reduce",
    "reduce_once",
]
