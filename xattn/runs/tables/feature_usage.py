"""feature_usage.csv and usage_over_training.csv: dependence of predictions on features."""

from __future__ import annotations

from xattn.runs.tables import (
    Column,
    Interval,
    Number,
    Printed,
    PValue,
    Section,
    Source,
    Table,
    Text,
    Used,
    declare,
)
from xattn.runs.tables.sources import USAGE

_INTERVAL = "95 % interval of the bits, bootstrap over groups; empty below 5 groups"
_BITS = Column("effect_bits", "I(prediction; feature | label) per image", unit="bits", chance="0")
_RANK_EFFECT = Column(
    "rank_effect",
    "yes/no: probability that an image with the feature scores above one of its label without it, "
    "minus the reverse; number: Spearman's correlation within labels; names, or more than two "
    "classes: the largest absolute correlation, without sign",
    range="-1 to 1",
    chance="0",
)
_VARIANCE = "its 95 % interval, as for the bits"
_ADJUSTED = "adjusted by Westfall and Young over the table, controls included"

FEATURE_USAGE = declare(
    Table(
        "feature_usage",
        about="One row per feature and test: does the prediction depend on the feature, given the "
        "label?",
        source=USAGE,
        columns=(
            Column("feature", "its name", "text"),
            Column("kind", "structure, artifact, metadata, computed, or control", "text"),
            Column("test", "how the statistics decide, and of what: presence, area, count, value, "
                   "or missing", "text"),
            Column("n", "images tested: label, prediction and feature known (complete cases), and "
                   "group exchangeable", "count", "images"),
            Column("groups", "groups of these", "count", "groups"),
            Column("strata_dropped", "compositions that only one group has, and which cannot be "
                   "permuted; their images are not tested", "count"),
            Column("statistic", "of several statistics, the least of their p-values; of one, its "
                   "root: for `rank`, one number and one score the absolute correlation of ranks "
                   "within labels", range="0 to 1"),
            Column("p_value", "exact permutation p-value, at least `smallest_p`", "p"),
            Column("p_adjusted", _ADJUSTED, "p"),
            Column("used", "`p_adjusted` < alpha", "flag"),
            _BITS,
            Column("effect_low", _INTERVAL, unit="bits"),
            Column("effect_high", _INTERVAL, unit="bits"),
            _RANK_EFFECT,
        ),
        more=(
            Column("rank_effect_error", "standard error of the rank effect where nothing depends, "
                   "roughly"),
            Column("variance_share", "fraction of the variance of the prediction's ranks within "
                   "labels that the feature explains (epsilon squared); numbers in up to 5 bins",
                   range="at most 1", chance="0"),
            Column("variance_low", _VARIANCE),
            Column("variance_high", _VARIANCE),
            Column("smallest_p", "the least p-value that could have come out", "p"),
            Column("note", "why there are no numbers", "text"),
            Column("p_holm", "the p-value adjusted by Holm's method", "p"),
            Column("p_bh", "the p-value adjusted by Benjamini and Hochberg's method (false "
                   "discovery rate)", "p"),
            Column("stands_for", "features whose being known or not this row is about", "text"),
        ),
        sometimes=(
            Column("p_<statistic>", "p-value of each statistic by itself: `p_rank`, `p_dcor`, "
                   "`p_hsic`, ...", "p"),
            Column("p_kci", "with `--cross-check`: causal-learn's KCI", "p"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("kind", "kind"),
            Text("test", "test"),
            Number("images", "n", 0),
            Number("groups", "groups", 0, on_paper=False),
            Interval("effect, bits", "effect_bits", "effect_low", "effect_high",
                     "95 % interval; chance: 0", "p_adjusted"),
            Number("rank effect", "rank_effect", 3, "−1 to 1; chance: 0"),
            PValue("p", "p_value", "permutations within label", on_paper=False),
            PValue("adjusted p", "p_adjusted", "whole table"),
            Used("verdict", "used", on_paper=False),
        ),
        section=Section(
            "What the model uses",
            "Usage",
            "A feature is used if predictions depend on it among images of the same label. The "
            "test exchanges the feature's values within each label, so the label cannot explain "
            "the result.",
            figure="feature-usage",
            always=True,
        ),
        printed=Printed(
            "Dependence of the predictions of {of} on each feature given the label; controls are "
            "random features that no model can use.",
            ("feature", "kind"),
            ("effect, bits",),
            strongest_of="feature",
            note="Of several tests of a feature the one of least p",
        ),
    )
)  # fmt: skip

USAGE_OVER_TRAINING = declare(
    Table(
        "usage_over_training",
        about="One row per checkpoint of a training, feature and test.",
        source=Source(
            "xattn feature-usage --ckpt a.pt --ckpt b.pt --annotations isic_attributes.json",
            "usage_over_training.json",
        ),
        columns=(
            Column("step", "epoch of the checkpoint, or its number", "count"),
            Column("checkpoint", "its file", "text"),
            Column("feature", "its name", "text"),
            Column("kind", "structure, artifact, metadata, computed, or control", "text"),
            Column("test", "as in feature_usage.csv", "text"),
            Column("p_value", "exact permutation p-value", "p"),
            Column("p_adjusted", f"{_ADJUSTED}, step by step", "p"),
            Column("used", "`p_adjusted` < alpha", "flag"),
            _BITS,
            Column("effect_low", _INTERVAL, unit="bits"),
            Column("effect_high", _INTERVAL, unit="bits"),
            _RANK_EFFECT,
        ),
    )
)  # fmt: skip
