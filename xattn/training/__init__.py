"""Training: recipes, splits without leakage, and the loop that makes a checkpoint of them."""
