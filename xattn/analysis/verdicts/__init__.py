"""One verdict a feature, from dependence, the same given the other features, and edits.

A dependence within labels may come through a correlate, which may not have been annotated; an edit
leaves traces of its own, and may change more than its feature, or not all of it. Where they agree a
verdict is safe; where they do not, the rules say which counts, and the row says what speaks against
it.
"""
