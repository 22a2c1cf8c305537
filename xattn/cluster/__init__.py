"""Work spread over the workers of a Ray cluster: connected, handed out, taken up when one dies."""
