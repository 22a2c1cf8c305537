"""From a folder of images to a run folder: what is planned, read, computed, stored and resumed."""
