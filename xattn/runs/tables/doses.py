"""doses.csv: whether the score follows the dose of an edit."""

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

_DELTA = "mean change of the log odds at the dose, with its 95 % interval by bootstrap over groups"
_CONTROL = "the same of the control, an edit of equal size that leaves the feature alone"
_EXCESS = "mean difference between edit and control, image by image, with its 95 % interval"
_SLOPE = (
    "change of the log odds per unit of dose beyond the control: mean over images of the "
    "least-squares slope, with its 95 % interval by bootstrap over groups; the same in all rows "
    "of an edit"
)
_P = (
    "edit and control are alike: signs of the images' slopes flipped at random, group by group, "
    "two-sided"
)
_TREND = (
    "the dose makes no difference in any image: doses permuted within images, Page's trend "
    "statistic, two-sided; small also where the score goes up in some images and down in others"
)
_OTHERS = (
    "other computed features whose mean changes by 0.2 standard deviations of the run or more, at "
    "the smallest and the largest dose"
)

DOSES = declare(
    Table(
        "doses",
        about="One row per feature, graded edit and dose: the score as a feature is taken away or "
        "added by degrees.",
        source=USAGE,
        columns=(
            Field("feature", "its name; `light` and `colour_cast` are of the whole image", "text"),
            Field("intervention", "the graded edit", "text"),
            Field("dose", "how much more of the feature; negative: less; its unit is in `unit`"),
            Field("n", "images edited", "count", "images"),
            Field("delta_logit", _DELTA, unit="logit", chance="0"),
            Field("control_delta_logit", _CONTROL, unit="logit"),
            Field("excess_logit", _EXCESS, unit="logit", chance="0"),
            Field("excess_low", _EXCESS, unit="logit", chance="0"),
            Field("excess_high", _EXCESS, unit="logit", chance="0"),
            Field("slope", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("slope_low", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("slope_high", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("p_value", _P, "p"),
            Field("p_adjusted", "Holm over the edits of the table, each counted once", "p"),
            Field("p_trend", _TREND, "p"),
        ),
        more=(
            Field("kind", "of the feature; image for what is of the whole image", "text"),
            Field("unit", "of the dose", "text"),
            Field("masks", "whose masks were edited: annotated, detected (by a detector, with its "
                  "errors), or none needed", "text"),
            Field("available", "images there were", "count", "images"),
            Field("n_control", "images with a control", "count", "images"),
            Field("groups", "groups of the images edited", "count", "groups"),
            Field("delta_low", _DELTA, unit="logit", chance="0"),
            Field("delta_high", _DELTA, unit="logit", chance="0"),
            Field("control_delta_low", _CONTROL, unit="logit"),
            Field("control_delta_high", _CONTROL, unit="logit"),
            Field("score_sd", "standard deviation of the score within labels over the whole run",
                  unit="logit"),
            Field("value_before", "the feature's mean value in up to 20 images before the edit, "
                  "measured in the model's view; of an artifact the score of its detector"),
            Field("value_after", "the same at the dose"),
            Field("control_value_change", "how much the control changes that value"),
            Field("others", _OTHERS, "text"),
            Field("note", "why there are no numbers", "text"),
            Field("value_sd", "standard deviation of the feature in the run; empty of what the run "
                  "has no numbers of"),
            Field("flip_rate", "fraction of images whose predicted class changes at the dose",
                  chance="`control_flip_rate`"),
            Field("control_flip_rate", "the same of the control"),
            Field("p_mcnemar", "edit and control flip as often: exact McNemar, images taken as "
                  "independent", "p"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("intervention", "intervention"),
            Text("masks", "masks"),
            Number("dose", "dose", 2),
            Text("unit", "unit"),
            Number("images", "n", 0),
            Number("value before", "value_before", 3, "of the feature, in up to 20 images"),
            Number("after", "value_after", 3, "at the dose"),
            Interval("beyond control", "excess_logit", "excess_low", "excess_high",
                     "95 % interval; no effect: 0"),
            Interval("slope", "slope", "slope_low", "slope_high",
                     "per unit of dose; 95 % interval; no effect: 0", "p_adjusted"),
            PValue("adjusted p", "p_adjusted", "Holm, over the edits"),
            PValue("trend p", "p_trend", "Page, doses permuted within images", on_paper=False),
            Text("what else changed", "others", on_paper=False),
        ),
        section=Section(
            "Whether the score follows the dose",
            "Doses",
            "Features taken away or added by degrees, beside a control that changes the image as "
            "much and leaves the feature alone. A feature that the model uses shows a slope beyond "
            "the control's. Where masks are a detector's, what it missed stays in the image, and "
            "the slope is too small. What else an edit changes stands beside it.",
            figure="dose-response",
            of_class=LOGIT_OF,
        ),
        printed=Printed(
            "Change of the score of {of} per unit of dose when a feature is changed by degrees, "
            "beyond a control of equal size.",
            ("feature", "intervention", "dose"),
            ("slope",),
        ),
    )
)  # fmt: skip
