"""Which architecture the weights of a checkpoint belong to, and how they get into it."""
