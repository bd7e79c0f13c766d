"""Responses of the web service: results, problems, the OpenAPI description."""
