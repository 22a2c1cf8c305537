"""Known answers: networks of which it is known what they use, and what the evidence says of them.

A world is what a network lives in: what is planted in the images that it learns from, and what
goes with what in those that it is measured on. What a network then uses is measured on true
counterfactuals, the same scenes rendered with and without each thing; every kind of evidence of
`xattn feature-usage` is held against that.
"""
