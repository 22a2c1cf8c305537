"""Concept activation vectors: which features a network's inside holds, and which move its score."""
