"""Worker processes that segment the films of a run, on this machine or on a Ray cluster."""
