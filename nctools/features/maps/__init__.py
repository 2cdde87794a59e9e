"""Maps of all labels of an image in one forward pass: attention, CAM, Grad-CAM and its relatives."""

from nctools.features.maps.result import ClassMaps, load_class_maps

__all__ = ["ClassMaps", "load_class_maps"]
