"""A run over many films: finding and naming them, `results.csv`, `run.json`, resuming."""
