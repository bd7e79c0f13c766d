"""`pleura results`: merging, converting and searching the tables of runs."""
