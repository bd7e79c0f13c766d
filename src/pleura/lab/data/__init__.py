"""Films with label masks: layouts, splits, checks, downloads."""
