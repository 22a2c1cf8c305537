"""Does the prediction depend on a feature, given the label? The tests, and effects beside them."""
