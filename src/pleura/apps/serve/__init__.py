"""The command `pleura serve`: the web service."""
