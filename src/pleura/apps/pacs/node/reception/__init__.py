"""The reception of films: the C-STORE provider and its checks."""
