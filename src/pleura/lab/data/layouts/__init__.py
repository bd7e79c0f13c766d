"""How public sets and people's own folders are laid out on disk; one file a layout."""

from pleura.lab.data.layouts.registry import LAYOUTS, Layout, read_films

__all__ = ["LAYOUTS", "Layout", "read_films"]
