"""Small detectors of artifacts, trained on the flags at hand: pooled activations, cross-fitted."""
