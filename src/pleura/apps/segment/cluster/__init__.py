"""`pleura segment --ray`: the films of a run are done by workers on a Ray cluster."""
