"""Training: recipe, data set, loss, run, export."""
