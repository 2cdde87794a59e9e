"""Readers of the folders in which VOC, COCO, Visual Genome and ODIR-5K come."""
