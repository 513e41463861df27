"""Training and prediction: the one loop, checkpoints, models; whatever the method."""
