"""Reading films and writing results."""
