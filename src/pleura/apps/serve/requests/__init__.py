"""Requests of the web service: query parameters and uploaded films."""
