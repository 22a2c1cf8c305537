"""What one forward pass tells of a network: layers, outputs, and where its cells look."""
