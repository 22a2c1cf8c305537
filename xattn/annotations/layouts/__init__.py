"""Data sets as they are downloaded: one module a layout."""
