"""`pleura segment --ray`: workers on a Ray cluster segment the films of a run."""
