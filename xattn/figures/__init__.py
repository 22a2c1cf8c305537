"""Figures and the report, drawn from run folders alone.

Figures (`paper`) are functions from a run folder to a matplotlib `Figure`, listed in `registry`;
nothing here touches pyplot, so drawing changes no state of the caller's. `tables` are those of
papers, `page` is the report, and `drawing` what figures are made with.
"""
