"""The command `pleura segment`: one film, or a run over many."""
