"""concepts.csv: which features a network holds inside, and which of them move its score."""

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
from xattn.runs.tables.layout import LOGIT_OF
from xattn.runs.tables.sources import USAGE

USED = "encoded and used"
ENCODED_ONLY = "encoded; not shown to be used"
USED_ONLY = "used; not shown to be encoded"
NEITHER = "not shown to be encoded or used"
NOT_TESTED = "not tested"

FINDINGS = (USED, ENCODED_ONLY, USED_ONLY, NEITHER, NOT_TESTED)
"""Values of the column `finding`."""

_AUC = "95 % percentile interval of the AUC, bootstrap over groups; the vectors are held fixed"
_DERIVATIVE = "95 % percentile interval of the derivative, bootstrap over groups"
_SIGNS = "range of that fraction over random concepts, 95 %"
_RANDOM = "random concepts: as many images of every label, whole groups exchanged"
_ADJUSTED = "adjusted by Westfall and Young over all features"

CONCEPTS = declare(
    Table(
        "concepts",
        about="One row per yes/no feature (and class, where each stands for itself): is it encoded "
        "at the explained layer, and does the score move along it?",
        source=USAGE,
        columns=(
            Field("feature", "its name, of two names the one that counts as yes; "
                  "`control-label-noise` is one that no network can know", "text"),
            Field("kind", "structure, artifact, metadata, computed, or control", "text"),
            Field("class", "whose log odds are asked about; the output, or the value", "text"),
            Field("finding", "what follows from the two tests, side by side", "text"),
            Field("n", "images: label and feature known, group exchangeable", "count", "images"),
            Field("n_with", "images with the feature", "count", "images"),
            Field("auc", "held-out images with the feature against those of their label without "
                  "it, along the concept vector", range="0 to 1", chance="`auc_random`"),
            Field("auc_low", _AUC),
            Field("auc_high", _AUC),
            Field("auc_random", "mean of random concepts", range="0 to 1"),
            Field("p_encoded", f"permutation test of the AUC, one-sided, against {_RANDOM}", "p"),
            Field("p_encoded_adjusted", _ADJUSTED, "p"),
            Field("encoded", "`p_encoded_adjusted` < alpha", "flag"),
            Field("derivative", "mean directional derivative of the score of held-out images along "
                  "the vector: the change of the score, to first order, if activations shifted as "
                  "the feature shifts them", unit="logit", chance="0"),
            Field("derivative_low", _DERIVATIVE, unit="logit", chance="0"),
            Field("derivative_high", _DERIVATIVE, unit="logit", chance="0"),
            Field("p_used", f"permutation test of the derivative over its standard error, "
                  f"two-sided, against {_RANDOM}", "p"),
            Field("p_used_adjusted", f"{_ADJUSTED} and classes", "p"),
            Field("used", "`p_used_adjusted` < alpha", "flag"),
        ),
        more=(
            Field("score_sd", "standard deviation of the score within labels", unit="logit"),
            Field("tcav", "fraction of images whose score rises along the vector (TCAV)",
                  range="0 to 1", chance="`tcav_random_low` to `tcav_random_high`"),
            Field("tcav_random_low", _SIGNS),
            Field("tcav_random_high", _SIGNS),
            Field("groups", "groups of the images", "count", "groups"),
            Field("layer", "the explained layer", "text"),
            Field("note", "why there are no numbers", "text"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("kind", "kind"),
            Text("class", "class", on_paper=False),
            Text("finding", "finding", order=FINDINGS, verbatim=True, on_paper=False),
            Number("with", "n_with", 0),
            Number("images", "n", 0, on_paper=False),
            Interval("AUC", "auc", "auc_low", "auc_high",
                     "encoded: of held-out images, within labels; 95 % interval; chance: 0.5",
                     "p_encoded_adjusted"),
            Number("random", "auc_random", 3, "AUC of random concepts", on_paper=False),
            PValue("adjusted p", "p_encoded_adjusted", "encoded"),
            Interval("derivative", "derivative", "derivative_low", "derivative_high",
                     "used: change of the score along the vector; 95 % interval; chance: 0",
                     "p_used_adjusted"),
            PValue("adjusted p", "p_used_adjusted", "used"),
            Number("score sd", "score_sd", 2, "within labels", on_paper=False),
            Number("TCAV", "tcav", 2, "fraction of images where the score rises", on_paper=False),
            Number("from", "tcav_random_low", 2, "TCAV of random concepts", on_paper=False),
            Number("to", "tcav_random_high", 2, "TCAV of random concepts", on_paper=False),
        ),
        section=Section(
            "What the network holds inside",
            "Concepts",
            "A feature is encoded if the activations of the explained layer tell images with it "
            "from others of their label, and used if the score moves along the direction in which "
            "they differ. A network may hold what it does not use. Correlates share directions: "
            "that a direction is used does not say for which of them.",
            of_class=LOGIT_OF,
        ),
        printed=Printed(
            "Concept vectors at the explained layer of {of}: separability of held-out images, and "
            "mean directional derivative of the score.",
            ("feature", "kind"),
            ("AUC", "derivative"),
        ),
    )
)  # fmt: skip
