"""The layouts of public data sets and of your own folders on disk; each has its own module."""

from pleura.lab.data.layouts.registry import LAYOUTS, Layout, read_films, read_sets

__all__ = ["LAYOUTS", "Layout", "read_films", "read_sets"]
