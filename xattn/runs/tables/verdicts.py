"""verdicts.csv: what follows for each feature."""

from __future__ import annotations

from xattn.runs.tables import (
    Each,
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
from xattn.runs.tables.alignment import COARSENESS
from xattn.runs.tables.layout import LOGIT_OF
from xattn.runs.tables.sources import USAGE

CHANGES = "used, and it changes decisions"
HARDLY = "used, but it hardly changes decisions"
MOVES = "used, and it changes the value"
COMES_WITH = "comes with another feature, not used itself"
BEYOND = "used beyond every other annotated feature, but no edit can show it"
LEFT_OPEN = "used beyond every other annotated feature; its edits leave it open"
UNCLEAR = "used; itself or a correlate, not told apart here"
NOT_USED = "not used: less than what matters"
NOT_TESTABLE = "not testable here"

VERDICTS = (CHANGES, MOVES, HARDLY, BEYOND, LEFT_OPEN, COMES_WITH, UNCLEAR, NOT_USED, NOT_TESTABLE)
"""Values of the column `verdict`, from what matters most."""
SAY_USED, SAY_NOT_USED = VERDICTS[:5], (COMES_WITH, NOT_USED)
"""Those that say that the model uses the feature itself, and that it does not; the others do not
know."""

EDIT, GRADED = "edit", "graded edit"
GIVEN, EQUIVALENCE, LABEL = "given the others", "equivalence", "dependence"
"""Values of the column `decided_by`: evidence that a verdict rests on."""

BRIEF_VERDICTS = {
    CHANGES: "changes decisions",
    HARDLY: "hardly changes decisions",
    MOVES: "changes the value",
    BEYOND: "used beyond the others",
    LEFT_OPEN: "used beyond the others; edits open",
    COMES_WITH: "comes with another",
    UNCLEAR: "itself or a correlate",
    NOT_USED: "not used",
}
"""What a printed table says for a long verdict; its notes say the whole."""

_GIVEN = "partial correlation given the label and the other features, with its 95 % interval"
_SLOPE = "change of the logit by a unit of its dose beyond the control's, with its 95 % interval"
_CHANGE = (
    "change of the score by that slope over what the feature varies by: two standard deviations of "
    "the run, at most the doses done, or from present to absent; with its 95 % interval"
)
_EXCESS = "change of the logit beyond the control's, with its 95 % interval"

VERDICT_TABLE = declare(
    Table(
        "verdicts",
        about="One row per feature: the strongest dependence test, the same given the other "
        "features, the strongest edit, each method's lift over chance, and what follows.",
        source=USAGE,
        columns=(
            Field("feature", "its name", "text"),
            Field("kind", "structure, artifact, metadata, computed, or image", "text"),
            Field("verdict", "the first rule that holds", "text"),
            Field("test", "dependence test of least p-value", "text"),
            Field("p_adjusted", "of that test", "p"),
            Field("used", "`p_adjusted` < alpha", "flag"),
            Field("rank_effect", "of that test", range="-1 to 1", chance="0"),
            Field("detectable_effect", "rank effect that would have been found in four of five "
                  "cases", range="0 to 1"),
            Field("p_given_adjusted", "of the feature given the label and the other features", "p"),
            Field("effect_given", _GIVEN, range="-1 to 1", chance="0"),
            Field("effect_given_low", _GIVEN, range="-1 to 1", chance="0"),
            Field("effect_given_high", _GIVEN, range="-1 to 1", chance="0"),
            Field("explained_by", "features which, held fixed, leave nothing of the dependence",
                  "text"),
            Field("intervention", "edit of least p-value", "text"),
            Field("excess_logit", _EXCESS, unit="logit", chance="0"),
            Field("excess_low", _EXCESS, unit="logit", chance="0"),
            Field("excess_high", _EXCESS, unit="logit", chance="0"),
            Field("flip_rate", "fraction of images whose predicted class the edit changes",
                  range="0 to 1", chance="`control_flip_rate`"),
            Field("control_flip_rate", "the same of the control", range="0 to 1"),
            Field("intervention_p", "adjusted p-value of the edit", "p"),
        ),
        more=(
            Field("n", "images of the dependence test; those of the edits are `n` in "
                  "interventions.csv and doses.csv", "count", "images"),
            Field("p_equivalent", "p-value of the partial correlation being as large as what "
                  "matters, or larger; unadjusted", "p"),
            Field("would_settle", "what would tell more, where the verdict leaves something open",
                  "text"),
            Field("effect_bits", "of the dependence test", unit="bits", chance="0"),
            Field("graded_edit", "graded edit of least p-value, see doses.csv", "text"),
            Field("slope", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("slope_low", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("slope_high", _SLOPE, unit="logit per unit of dose", chance="0"),
            Field("slope_p", "adjusted p-value of the slope", "p"),
            Field("decided_by", "the evidence that the verdict rests on: edit, graded edit, given "
                  "the others, equivalence, dependence", "text"),
            Field("contradicts", "the evidence that speaks against it; edits by name", "text"),
            Field("masks", "whose masks the edit used: annotated, or detected", "text"),
            Field("slope_change", _CHANGE, unit="SD of the score", chance="0"),
            Field("slope_change_low", _CHANGE, unit="SD of the score", chance="0"),
            Field("slope_change_high", _CHANGE, unit="SD of the score", chance="0"),
            Field("changed_with", "other computed features that the graded edit changes too",
                  "text"),
            Field("caveat", "where a graded edit of it is known not to do what the feature does",
                  "text"),
        ),
        sometimes=(
            Field("lift_over_chance_<method>", "lift of a method's maps over that on masks of "
                  "other images; empty where they are too coarse", chance="1"),
            Field("lift_p_<method>", "adjusted p-value of that lift", "p"),
            Field("too_coarse_<method>", "whether the method's maps are too coarse for the feature",
                  "flag"),
        ),
        shown=(
            Text("feature", "feature"),
            Text("kind", "kind"),
            Text("verdict", "verdict", order=VERDICTS, brief=BRIEF_VERDICTS, verbatim=True),
            Text("decided by", "decided_by"),
            Text("against it", "contradicts", on_paper=False),
            Number("rank effect", "rank_effect", 3, "−1 to 1; chance: 0", "p_adjusted"),
            PValue("adjusted p", "p_adjusted", "of the dependence", on_paper=False),
            Interval("given the others", "effect_given", "effect_given_low", "effect_given_high",
                     "partial correlation; 95 % interval; chance: 0", "p_given_adjusted"),
            Text("explained by", "explained_by"),
            Number("detectable", "detectable_effect", 3, "found in 4 of 5 cases", on_paper=False),
            Text("edit", "intervention", on_paper=False),
            Text("masks", "masks", on_paper=False),
            Interval("change of logit", "excess_logit", "excess_low", "excess_high",
                     "beyond its control's; 95 % interval; no effect: 0", "intervention_p"),
            Number("flip rate", "flip_rate"),
            Number("of control", "control_flip_rate", 3, "same change elsewhere"),
            PValue("adjusted p", "intervention_p", "of the edit", on_paper=False),
            Text("graded edit", "graded_edit", on_paper=False),
            Interval("dose-response", "slope_change", "slope_change_low", "slope_change_high",
                     "SD of the score over what the feature varies by; 95 % interval; no effect: 0",
                     "slope_p"),
            Text("also changed", "changed_with", on_paper=False),
            Each("<method>", (
                Number("lift by <method>", "lift_over_chance_<method>", 2,
                       "over masks of other images: 1", "lift_p_<method>"),
                PValue("adjusted p", "lift_p_<method>", "of the lift", on_paper=False),
                Text("map", "too_coarse_<method>", words=COARSENESS, on_paper=False),
            )),
            Text("would settle it", "would_settle", on_paper=False),
            Text("caveat", "caveat", on_paper=False, verbatim=True),
        ),
        section=Section(
            "What follows, feature by feature",
            "Verdicts",
            "Dependence, alone and given all other features, edits and maps side by side. A "
            "dependence may come through a correlate, a "
            "map may lie on what the model ignores, and an edit leaves traces: where they agree a "
            "verdict is safe, where they do not it says what is missing.",
            of_class=LOGIT_OF,
        ),
        printed=Printed(
            "Verdicts for {of}: dependence given the label, and given the other features, edits "
            "beside their controls, and maps.",
            ("feature", "kind"),
            ("verdict",),
        ),
    )
)  # fmt: skip
