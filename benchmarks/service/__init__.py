"""How `pleura serve` answers under load."""
