"""Whether one architecture is better than another, as far as seeds and images can tell."""
