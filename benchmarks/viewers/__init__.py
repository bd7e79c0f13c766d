"""Whether the Segmentations can be read by the library of web viewers."""
