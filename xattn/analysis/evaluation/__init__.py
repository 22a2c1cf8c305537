"""How good a model is on images not used for training, in and out of distribution."""
