"""Synthetic chest films with exact masks."""
