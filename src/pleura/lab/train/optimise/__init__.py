"""What a training step minimises, and by which rate."""
