"""Faithfulness: whether the model needs what a map shows, and whether the map needs the model.

No score of this kind means anything alone, for taking pixels away makes images that no model was
trained on. So each stands beside what two maps reach that know nothing of the model: random values
and the image's own edges, on the grid of the method's maps.
"""
