"""TIFF files: their pages, and samples that Pillow does not read."""
