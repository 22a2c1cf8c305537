"""One module a family of attribution methods; each registers its methods when it is imported."""
