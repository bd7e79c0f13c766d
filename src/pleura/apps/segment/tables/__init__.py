"""`pleura results`: what is done with the tables of runs."""
