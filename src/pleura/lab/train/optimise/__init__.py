"""The loss and the learning rate of a training step."""
