"""Maps of all labels of an image in one forward pass: attention, CAM, Grad-CAM and its relatives."""

from nctools.features.maps.making import MAP_METHODS, class_maps
from nctools.features.maps.result import ClassMaps, load_class_maps

__all__ = ["MAP_METHODS", "ClassMaps", "class_maps", "load_class_maps"]
