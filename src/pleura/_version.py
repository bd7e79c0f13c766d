"""The version of Pleura."""

__version__ = "0.1.0"
