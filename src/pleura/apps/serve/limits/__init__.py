"""Limits of the web service: films at a time, the queue, memory for uploads."""
