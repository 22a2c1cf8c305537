"""Search of hyperparameters: the trials, what they share, and what mattered."""
