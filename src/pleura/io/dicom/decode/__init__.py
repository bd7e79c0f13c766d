"""Decoding the pixels of a DICOM file: codecs, fragments, lookup tables, brightness."""
