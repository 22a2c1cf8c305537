"""Studies of known answers: networks of which it is known what they use."""
