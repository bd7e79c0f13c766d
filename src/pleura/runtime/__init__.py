"""Segmenting films: engines, threads, and the `Segmenter`."""
