"""interventions.csv and interventions_by_class.csv: what edits of features do to the score."""

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

_DELTA = (
    "mean change of the log odds of the positive class (of more than two without `--positive`: of "
    "the class predicted before), with its 95 % interval by bootstrap over groups"
)
_EXCESS = "mean difference between edit and control, image by image, with its 95 % interval"
_P = (
    "edit and control change the score alike: signs of the differences flipped at random, group "
    "by group, two-sided"
)
_BY_CLASS = "mean change of the log odds of the class, with its 95 % interval"
_DECISIONS = "decisions that came to the class, and that left it"
_ELSEWHERE = "same change elsewhere"
_CHANGED = "which decisions changed, and how many: `nv → mel: 4; bkl → nv: 1`"

INTERVENTIONS = declare(
    Table(
        "interventions",
        about="One row per feature and edit: the score after it, beside the same edit where the "
        "feature is not.",
        source=USAGE,
        columns=(
            Field("feature", "its name; `control-patch` edits where nothing is annotated", "text"),
            Field("intervention", "the edit", "text"),
            Field("n", "images edited", "count", "images"),
            Field("delta_logit", _DELTA, unit="logit", chance="0"),
            Field("delta_low", _DELTA, unit="logit", chance="0"),
            Field("delta_high", _DELTA, unit="logit", chance="0"),
            Field("flip_rate", "fraction of images whose predicted class changes",
                  range="0 to 1", chance="`control_flip_rate`"),
            Field("control_delta_logit", "change of the log odds by the control", unit="logit"),
            Field("control_flip_rate", "flip rate of the control", range="0 to 1"),
            Field("p_value", _P, "p"),
            Field("p_adjusted", "Holm over the table", "p"),
        ),
        more=(
            Field("kind", "of the feature; control for `control-patch`", "text"),
            Field("available", "images there were", "count", "images"),
            Field("n_control", "images with a control", "count", "images"),
            Field("n_borrowed", "images whose control took another image, for want of room",
                  "count", "images"),
            Field("groups", "groups of the images edited", "count", "groups"),
            Field("abs_delta_logit", "mean absolute change, of edit and control", unit="logit"),
            Field("control_abs_delta_logit", "mean absolute change, of edit and control",
                  unit="logit"),
            Field("excess_logit", _EXCESS, unit="logit", chance="0"),
            Field("excess_low", _EXCESS, unit="logit", chance="0"),
            Field("excess_high", _EXCESS, unit="logit", chance="0"),
            Field("p_mcnemar", "edit and control flip as often: exact McNemar, images taken as "
                  "independent", "p"),
            Field("score_sd", "standard deviation of the score within labels over the whole run: "
                  "the scale on which a change is large or small", unit="logit"),
            Field("note", "why there are no numbers", "text"),
            Field("changes", _CHANGED, "text"),
            Field("control_changes", _CHANGED, "text"),
            Field("masks", "whose masks were edited: annotated, or detected (by a detector, with "
                  "its errors)", "text"),
            Field("value_before", "under a detector's masks: its mean score in up to 20 of the "
                  "images before the edit", range="0 to 1"),
            Field("value_after", "the same after it", range="0 to 1"),
            Field("control_value_change", "how much the control changes that score"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("intervention", "intervention"),
            Text("masks", "masks", on_paper=False),
            Number("images", "n", 0),
            Interval("change of logit", "delta_logit", "delta_low", "delta_high",
                     "95 % interval; no effect: 0"),
            Number("of control", "control_delta_logit", 3, _ELSEWHERE),
            Interval("beyond control", "excess_logit", "excess_low", "excess_high",
                     "95 % interval; no effect: 0", "p_adjusted"),
            Number("flip rate", "flip_rate"),
            Number("of control", "control_flip_rate", 3, _ELSEWHERE),
            PValue("p", "p_value", on_paper=False),
            PValue("adjusted p", "p_adjusted", "Holm, whole table"),
        ),
        section=Section(
            "What happens when a feature is edited",
            "Interventions",
            "Change of the logit when the feature is removed or inserted, beside the same edit "
            "where the feature is not. Only what goes beyond that control is due to the feature. "
            "The row control-patch edits where nothing is annotated and must show nothing.",
            figure="interventions",
            of_class=LOGIT_OF,
        ),
        printed=Printed(
            "Change of the score of {of} when a feature is removed or inserted, beside the same "
            "edit elsewhere.",
            ("feature", "intervention"),
            ("beyond control",),
        ),
    )
)  # fmt: skip

INTERVENTIONS_BY_CLASS = declare(
    Table(
        "interventions_by_class",
        about="With more than two classes, each for itself: one row per feature, edit and class.",
        source=USAGE,
        columns=(
            Field("feature", "its name", "text"),
            Field("intervention", "the edit", "text"),
            Field("class", "whose score it is", "text"),
            Field("n", "images edited", "count", "images"),
            Field("delta_logit", _BY_CLASS, unit="logit", chance="0"),
            Field("delta_low", _BY_CLASS, unit="logit", chance="0"),
            Field("delta_high", _BY_CLASS, unit="logit", chance="0"),
            Field("control_delta_logit", "change by the control", unit="logit"),
            Field("excess_logit", _EXCESS, unit="logit", chance="0"),
            Field("excess_low", _EXCESS, unit="logit", chance="0"),
            Field("excess_high", _EXCESS, unit="logit", chance="0"),
            Field("p_value", _P, "p"),
            Field("p_adjusted", "Holm over the table", "p"),
            Field("gained", _DECISIONS, "count", "images"),
            Field("lost", _DECISIONS, "count", "images"),
            Field("control_gained", "the same among the `n_control` images", "count", "images"),
            Field("control_lost", "the same among the `n_control` images", "count", "images"),
        ),
        more=(
            Field("kind", "of the feature", "text"),
            Field("available", "images there were", "count", "images"),
            Field("n_control", "images with a control", "count", "images"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("intervention", "intervention"),
            Text("class", "class", verbatim=True),
            Number("images", "n", 0),
            Interval("change of logit", "delta_logit", "delta_low", "delta_high",
                     "95 % interval; no effect: 0"),
            Interval("beyond control", "excess_logit", "excess_low", "excess_high",
                     "95 % interval; no effect: 0", "p_adjusted"),
            Number("came", "gained", 0, "decisions that became the class"),
            Number("of control", "control_gained", 0, _ELSEWHERE),
            Number("left", "lost", 0, "decisions that were the class"),
            Number("of control", "control_lost", 0, _ELSEWHERE),
            PValue("adjusted p", "p_adjusted", "Holm, whole table"),
        ),
        section=Section(
            "What an edit does to each class",
            "Each class",
            "The same edits, class by class: change of the logit of that class against all others, "
            "and how many decisions came to it and left it.",
        ),
    )
)  # fmt: skip
