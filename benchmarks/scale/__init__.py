"""Runs on a Ray cluster, with workers and nodes that are killed."""
