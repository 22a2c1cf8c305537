"""Statistics: permutation, resampling, multiple testing, coded columns; nothing of images."""
