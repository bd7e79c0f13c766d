"""Drawn chest films with exact masks."""
