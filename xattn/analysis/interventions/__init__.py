"""Interventions: change one thing in the image, and see what the model makes of it.

Dependence given the label can come through a correlate: hair and body site, patches and the
hospital that used them. Editing the pixels of the feature, and of nothing else, tells the two
apart. Every edit leaves traces of its own, so each stands beside a control that edits as much of
the image, in the same way, where the feature is not.
"""
