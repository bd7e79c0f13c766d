"""The layouts of public data sets, as they are distributed."""
