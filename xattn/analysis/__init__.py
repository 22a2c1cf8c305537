"""Numbers: maps against masks, conditional-dependence tests, bias, from a run and annotations."""
