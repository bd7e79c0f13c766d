"""The network at work: engines, threads, and the segmentation of a film."""
