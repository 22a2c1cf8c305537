"""Engines: what computes the layers up to the explained one; the rest stays in torch."""
