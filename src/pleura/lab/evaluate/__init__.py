"""Scores of results against label masks: metrics, statistics, robustness, calibration."""
