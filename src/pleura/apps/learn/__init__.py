"""The commands of the learn side: train, evaluate, calibrate, bench, data, quantise."""
