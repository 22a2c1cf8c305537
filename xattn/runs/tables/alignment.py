"""alignment.csv: maps against masks."""

from __future__ import annotations

from xattn.runs.tables import (
    Field,
    Interval,
    Number,
    Printed,
    PValue,
    Section,
    Table,
    Text,
    declare,
)
from xattn.runs.tables.sources import USAGE

COARSENESS = {"True": "too coarse", "False": "fine enough"}
"""What `too_coarse` is shown as."""

_LIMITS = "95 % percentile interval of the lift, bootstrap over groups; empty below 5 groups"

ALIGNMENT = declare(
    Table(
        "alignment",
        about="One row per method, feature with masks, and label (every label, and `all`), over "
        "the images that show the feature.",
        source=USAGE,
        columns=(
            Field("method", "attribution method, or the control `centre-prior`", "text"),
            Field("feature", "its name; `lesion` is the mask of that name", "text"),
            Field("kind", "structure or artifact", "text"),
            Field("label", "images of this label, or `all`", "text"),
            Field("n", "images scored", "count", "images"),
            Field("mass", "mean fraction of the positive attribution inside the mask",
                  range="0 to 1", chance="`area`"),
            Field("area", "mean fraction of the view's pixels inside the mask", range="0 to 1"),
            Field("lift", "`mass / area`", range="0 to 1 / area",
                  chance="1 for a map spread evenly; `chance_lift` for one that knows the "
                  "label's habits"),
            Field("lift_low", _LIMITS),
            Field("lift_high", _LIMITS),
            Field("pointing", "fraction of images whose highest pixel is inside", range="0 to 1",
                  chance="`area`"),
            Field("auc", "probability that a pixel inside ranks above one outside",
                  range="0 to 1", chance="0.5"),
            Field("rank_accuracy", "fraction inside among as many top pixels as the mask has",
                  range="0 to 1", chance="`area`"),
            Field("topk", "fraction inside among the top tenth of all pixels", range="0 to 1",
                  chance="`area`"),
            Field("p_value", "permutation test of the mass, two-sided", "p"),
            Field("p_adjusted", "Holm over all rows but the control's", "p"),
        ),
        more=(
            Field("groups", "groups among the `n`", "count", "groups"),
            Field("degenerate", "images left out for their map", "count", "images"),
            Field("lift_in_lesion", "the lift if the mask `lesion` is taken for the whole image",
                  chance="1 for a map spread evenly over it"),
            Field("n_tested", "images that could be exchanged", "count", "images"),
            Field("chance_lift", "mean lift of the same maps on the masks of *other* images of "
                  "their label"),
            Field("lift_over_chance", "lift of the images tested, over `chance_lift`",
                  chance="1"),
            Field("mask_cells", "median area of the masks, in cells of the map", unit="cells"),
            Field("too_coarse", "`mask_cells` < 1: the map is too coarse for the feature", "flag"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("kind", "kind"),
            Text("method", "method"),
            Text("label", "label", on_paper=False),
            Number("images", "n", 0),
            Interval("lift", "lift", "lift_low", "lift_high",
                     "95 % interval; evenly spread: 1", "p_adjusted"),
            Number("chance lift", "chance_lift", 2, "masks of other images"),
            PValue("adjusted p", "p_adjusted", "Holm, whole table"),
            Number("cells", "mask_cells", 1, "median of the masks"),
            Text("map", "too_coarse", words=COARSENESS, on_paper=False),
            PValue("p", "p_value", "against other masks", on_paper=False),
            Number("area", "area", 3, "fraction of pixels", on_paper=False),
            Number("mass", "mass", 3, "chance: area", on_paper=False),
            Number("pointing", "pointing", 2, "chance: area", on_paper=False),
            Number("AUC", "auc", 2, "chance: 0.50", on_paper=False),
            Number("rank accuracy", "rank_accuracy", 2, "chance: area", on_paper=False),
            Number("top-k", "topk", 2, "chance: area", on_paper=False),
        ),
        section=Section(
            "Where the maps lie",
            "Maps",
            "Lift is the fraction of a map's positive attribution inside a mask over the mask's "
            "fraction of the image: 1 is a map spread evenly. Maps and masks both prefer the "
            "middle, so each lift is tested against the same maps on masks of other images of the "
            "same label. A feature that covers less than one cell of a map in the median cannot be "
            "told from what lies beside it there: such a map is too coarse for it.",
            figure="alignment",
            always=True,
        ),
        printed=Printed(
            "Where the maps of {of} lie: fraction of attribution inside each feature's masks over "
            "their fraction of the image.",
            ("feature", "kind", "method"),
            ("lift", "chance lift", "cells"),
            where={"label": "all"},
        ),
    )
)  # fmt: skip
