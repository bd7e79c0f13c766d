"""Security of the web service: middleware, allowed hosts, connections."""
