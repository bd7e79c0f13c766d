"""int8 weights: equalised channels, rounding, quantised graphs."""
