"""The report: what a run says, in one HTML page."""
