"""Numbers of maps: against masks, and against each other."""
