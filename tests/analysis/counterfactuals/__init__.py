"""Edits held against the truth: the generator renders the same scene with the feature changed.

    python -m tests.analysis.counterfactuals --kind dermoscopy --work DIR  # lesions, placed, tissue

For every edit: how the measured change of the score goes with the true one, over 20 networks.
Every training image draws every feature high or low (present or absent) by itself, and a network
learns to tell them all at once, so that each network answers for every edit with the output of its
own feature. Images are rendered once and kept in DIR, as are the edited images, which are the same
for all networks; what is done is not done again.

    kinds.py      what is drawn: images like dermoscopy, lesions large in them, or tissue
    held.py       how one edit of one scene is held against the truth
    task.py       what networks learn, and which edits are held against it
    dermoscopy.py tasks: artifacts, structures, light and skin
    lesions.py    tasks: size, shape, border and colours of lesions
    placed.py     tasks: size and place of an artifact, number of colours
    tissue.py     tasks of tissue
    images.py     training images and edited ones, made once
    networks.py   training, and scores
    figures.py    from scores to correlation, slope and error, with intervals
    filling.py    what fills a hole best (python -m tests.analysis.counterfactuals.filling)

A task is added by one call of `register` in the file of its kind:

    register(Task(
        "redness", DERMOSCOPY,
        drawn=lambda spec, more: with_strength(spec, "redness", 0.5 if more else -0.5),
        held=(AtDose("redness", lambda spec, dose: with_strength(spec, "redness", dose)),),
    ))

`drawn` makes a training image with more of the feature or with less; `held` names edits, each with
its truth: `AtDose` where the generator has the edit's own dose, `Matched` where it has not (the
edit is then read at the dose that gives the feature the value that it has in the true image), and
`Inpainted`, `Inserted` and `Occluded` for single edits.

Delete the folder DIR afterwards: images and networks in it are of the tasks as they were. `--write`
puts the figures into the package's known.csv, from which the report's caveats are made, and the
tables of docs/feature-usage.md (`python docs/generate/edits.py`). Several processes may share the
work: `--first 10 --networks 10`.
"""

NO_TRUTH = {
    "occlude-surround": "a lesion in no skin at all is no scene of the generator",
}
"""Edits without a counterfactual, and why."""
