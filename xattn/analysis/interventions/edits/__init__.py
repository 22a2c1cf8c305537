"""The edits, one idea a file; a file that lies here takes part, see docs/extending.md."""
