"""Studies over many films or recipes: benchmark of accuracy, ablation, check of int8."""
