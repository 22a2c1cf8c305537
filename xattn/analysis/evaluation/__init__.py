"""How good a model is on images that had no part in its training, i.d. and o.o.d."""
