"""claims.csv: claims of others beside what a study found."""

from __future__ import annotations

from xattn.runs.tables import Field, Table, declare
from xattn.runs.tables.sources import STUDY

AGREES, DISAGREES, OPEN = "agrees", "disagrees", "cannot be told"
FOUND = (AGREES, DISAGREES, OPEN)

_VALUE = "what was found, see `measure`, with its 95 % interval"

CLAIMS = declare(
    Table(
        "claims",
        about="One row per claim of the recipe and what it is about: a feature, a pair of models, "
        "or all of it together.",
        source=STUDY,
        columns=(
            Field("claim", "the sentence", "text"),
            Field("source", "who says it", "text"),
            Field("about", "a feature, or a pair of models and a split; `all` for the claim as a "
                  "whole", "text"),
            Field("found", "`agrees`, `disagrees` or `cannot be told`", "text"),
            Field("measure", "what `value` is", "text"),
            Field("value", _VALUE),
            Field("low", _VALUE),
            Field("high", _VALUE),
            Field("n", "networks, or seeds", "count"),
            Field("effect", "partial correlation with the score given label and other features, "
                  "mean over networks; its interval is the mean of theirs, for all saw the same "
                  "images", range="-1 to 1", chance="0"),
            Field("effect_low", "the ends of that interval"),
            Field("effect_high", "the ends of that interval"),
            Field("smallest", "what would have been found in four of five cases: a rank effect, "
                  "median over networks, or a difference of the metric"),
            Field("left_out", "networks that are not counted, for on test images they are not "
                  "shown to be better than chance", "count", "networks"),
        ),
    )
)  # fmt: skip
