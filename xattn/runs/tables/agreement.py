"""agreement.csv: maps of two methods against each other."""

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

_CORRELATION = "Spearman's correlation over pixels, mean over images, with its 95 % interval"
_OVERLAP = "fraction of the top tenth of pixels in common, with its 95 % interval"
_CHANCE = "of maps of different images of one label"

AGREEMENT = declare(
    Table(
        "agreement",
        about="One row per pair of methods: do they show the same?",
        source=USAGE,
        columns=(
            Field("method_a", "the two methods", "text"),
            Field("method_b", "the two methods", "text"),
            Field("n", "images of which both maps can be ranked", "count", "images"),
            Field("rank_correlation", _CORRELATION, range="-1 to 1",
                  chance="`chance_rank_correlation`"),
            Field("rank_correlation_low", _CORRELATION, range="-1 to 1",
                  chance="`chance_rank_correlation`"),
            Field("rank_correlation_high", _CORRELATION, range="-1 to 1",
                  chance="`chance_rank_correlation`"),
            Field("chance_rank_correlation", f"rank correlation {_CHANCE}", range="-1 to 1"),
            Field("overlap", _OVERLAP, range="0 to 1", chance="`chance_overlap`"),
            Field("overlap_low", _OVERLAP, range="0 to 1", chance="`chance_overlap`"),
            Field("overlap_high", _OVERLAP, range="0 to 1", chance="`chance_overlap`"),
            Field("chance_overlap", f"overlap {_CHANCE}", range="0 to 1"),
            Field("p_value", "permutation test of the rank correlation within labels, two-sided",
                  "p"),
            Field("p_adjusted", "Holm over pairs", "p"),
        ),
        shown=(
            Text("method", "method_a"),
            Text("with", "method_b"),
            Number("images", "n", 0),
            Interval("rank correlation", "rank_correlation", "rank_correlation_low",
                     "rank_correlation_high", "95 % interval", "p_adjusted"),
            Number("correlation by chance", "chance_rank_correlation", 3, "maps of other images"),
            Interval("overlap", "overlap", "overlap_low", "overlap_high",
                     "of the top tenth of pixels; 95 % interval"),
            Number("overlap by chance", "chance_overlap", 3, "maps of other images"),
            PValue("p", "p_value", "of the correlation", on_paper=False),
            PValue("adjusted p", "p_adjusted", "Holm, whole table"),
        ),
        section=Section(
            "Whether methods agree",
            "Agreement",
            "Rank correlation of two methods' maps over pixels, and the fraction of the top tenth "
            "of pixels that they have in common. Two maps agree by habit alone, since both prefer "
            "the middle: the level of chance pairs maps of different images.",
            figure="agreement",
        ),
        printed=Printed(
            "Agreement of the maps of {of}.",
            ("method", "with"),
            ("rank correlation", "correlation by chance"),
        ),
    )
)  # fmt: skip
