"""Dependence given the label and the other features: what a feature tells beyond them."""
