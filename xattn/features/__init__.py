"""Features of images: from masks, from tables, computed, detected."""
