"""Plugins of viewers of images: napari."""
