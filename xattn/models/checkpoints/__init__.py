"""Files of weights: what is read from them, and what is said about their inputs beside them."""
