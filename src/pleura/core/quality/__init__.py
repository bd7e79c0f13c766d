"""The verdict on a result: features, doubts, estimated Dice."""
