"""Forward and backward passes through a model, and the shorter ways to the same numbers."""
