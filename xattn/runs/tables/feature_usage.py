"""feature_usage.csv and usage_over_training.csv: dependence of predictions on features."""

from __future__ import annotations

from xattn.runs.tables import (
    Field,
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
_BITS = Field("effect_bits", "I(prediction; feature | label) per image", unit="bits", chance="0")
_RANK_EFFECT = Field(
    "rank_effect",
    "yes/no: probability that an image with the feature scores above one of its label without it, "
    "minus the reverse; number: Spearman's correlation within labels; names, or more than two "
    "classes: the largest absolute correlation, without sign",
    range="-1 to 1",
    chance="0",
)
_VARIANCE = "its 95 % interval, as for the bits"
_PARTIAL_INTERVAL = "its 95 % interval, bootstrap over groups; empty below 5 groups"
_ADJUSTED = "adjusted by Westfall and Young over the table, controls included"

FEATURE_USAGE = declare(
    Table(
        "feature_usage",
        about="One row per feature and test: does the prediction depend on the feature, given the "
        "label?",
        source=USAGE,
        columns=(
            Field("feature", "its name", "text"),
            Field("kind", "structure, artifact, metadata, computed, or control", "text"),
            Field("test", "how the statistics decide, and of what: presence, area, count, value, "
                  "or missing", "text"),
            Field("n", "images tested: label, prediction and feature known (complete cases), and "
                  "group exchangeable", "count", "images"),
            Field("groups", "groups of these", "count", "groups"),
            Field("strata_dropped", "compositions that only one group has, and which cannot be "
                  "permuted; their images are not tested", "count"),
            Field("statistic", "of several statistics, the least of their p-values; of one, its "
                  "root: for `rank`, one number and one score the absolute correlation of ranks "
                  "within labels", range="0 to 1"),
            Field("p_value", "exact permutation p-value, at least `smallest_p`", "p"),
            Field("p_adjusted", _ADJUSTED, "p"),
            Field("used", "`p_adjusted` < alpha", "flag"),
            _BITS,
            Field("effect_low", _INTERVAL, unit="bits"),
            Field("effect_high", _INTERVAL, unit="bits"),
            _RANK_EFFECT,
        ),
        more=(
            Field("rank_effect_error", "standard error of the rank effect where nothing depends, "
                  "roughly"),
            Field("variance_share", "fraction of the variance of the prediction's ranks within "
                  "labels that the feature explains (epsilon squared); numbers in up to 5 bins",
                  range="at most 1", chance="0"),
            Field("variance_low", _VARIANCE),
            Field("variance_high", _VARIANCE),
            Field("smallest_p", "the least p-value that could have come out", "p"),
            Field("note", "why there are no numbers", "text"),
            Field("p_holm", "the p-value adjusted by Holm's method", "p"),
            Field("p_bh", "the p-value adjusted by Benjamini and Hochberg's method (false "
                  "discovery rate)", "p"),
            Field("p_given", "p-value of the same question with the other features held fixed too: "
                  "signs of groups flipped; features that say nearly the same are tested as one",
                  "p"),
            Field("p_given_adjusted", "that, adjusted by Westfall and Young over the features, of "
                  "a control over all", "p"),
            Field("effect_given", "partial correlation given the label and the other features; "
                  "names, or more than two classes: without sign", range="-1 to 1", chance="0"),
            Field("effect_given_low", _PARTIAL_INTERVAL),
            Field("effect_given_high", _PARTIAL_INTERVAL),
            Field("p_equivalent", "p-value of `effect_given` being as large as what matters "
                  "(`smallest_partial` in analysis.json), or larger; unadjusted", "p"),
            Field("p_within", "of features that say nearly the same: p-value given also the others "
                  "of these", "p"),
            Field("nearly_the_same", "features that say nearly the same as this one", "text"),
            Field("explained_by", "features which, held fixed, leave nothing of the dependence "
                  "given the label to be shown", "text"),
            Field("stands_for", "features whose being known or not this row is about", "text"),
        ),
        sometimes=(
            Field("p_<statistic>", "p-value of each statistic by itself: `p_rank`, `p_dcor`, "
                  "`p_hsic`, ...", "p"),
            Field("p_kci", "with `--cross-check`: causal-learn's KCI", "p"),
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
            PValue("over all outputs", "p_over_outputs", "Bonferroni", on_paper=False),
            Interval("given the others", "effect_given", "effect_given_low", "effect_given_high",
                     "partial correlation; 95 % interval; chance: 0", "p_given_adjusted"),
            PValue("adjusted p given the others", "p_given_adjusted", "whole table",
                   on_paper=False),
            Text("explained by", "explained_by", on_paper=False),
            Used("verdict", "used", on_paper=False),
        ),
        section=Section(
            "What the model uses",
            "Usage",
            "A feature is used if predictions depend on it among images of the same label. The "
            "test exchanges the feature's values within each label, so the label cannot explain "
            "the result. A second test holds the other features fixed too: what is left is no "
            "trace of these.",
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
            Field("step", "epoch of the checkpoint, or its number", "count"),
            Field("checkpoint", "its file", "text"),
            Field("feature", "its name", "text"),
            Field("kind", "structure, artifact, metadata, computed, or control", "text"),
            Field("test", "as in feature_usage.csv", "text"),
            Field("p_value", "exact permutation p-value", "p"),
            Field("p_adjusted", f"{_ADJUSTED}, step by step", "p"),
            Field("used", "`p_adjusted` < alpha", "flag"),
            _BITS,
            Field("effect_low", _INTERVAL, unit="bits"),
            Field("effect_high", _INTERVAL, unit="bits"),
            _RANK_EFFECT,
        ),
    )
)  # fmt: skip
