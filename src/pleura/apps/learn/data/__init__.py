"""`pleura data`: its commands, and what they print."""
