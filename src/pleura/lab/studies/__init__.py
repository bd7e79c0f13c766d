"""Runs over many films or recipes: bench, ablation, quantisation."""
