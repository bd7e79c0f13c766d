"""What the masks and the verdicts are worth on films with drawn masks."""
