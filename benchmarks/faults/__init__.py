"""Faults that happen around a node, and what becomes of the films that it acknowledged."""
