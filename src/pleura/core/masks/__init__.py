"""Masks: clean-up, components, contours, measurements, overlay."""
