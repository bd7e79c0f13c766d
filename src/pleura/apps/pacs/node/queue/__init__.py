"""The queue of films on disk."""
