"""Train, validation, test and out-of-distribution: made, read, and compared."""
