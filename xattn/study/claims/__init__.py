"""Claims of others held against what a study found: agrees, disagrees, or cannot be told."""
