"""The version of Pleura."""

__version__ = "1.0.0rc1"
