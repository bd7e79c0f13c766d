"""Checks of one film and its mask: the border, the values, and the agreement with weights."""
