"""Arithmetic on pixels: sizes, filters, burnt-in letters."""
