"""Networks of known answers: what each uses, what is said of it, and how often that is right."""

from __future__ import annotations

from xattn.runs.tables import Field, Source, Table, declare

_KNOWN = Source("xattn study analysis/known-answers.toml")
_UNIT = "sd"

_EFFECT = (
    "mean change of the score when the thing alone is added to a scene, in standard deviations of "
    "the score within labels; of a trait from one standard deviation below its mean to one above"
)
_ERROR = "standard error of that mean, over scenes"
_SIZE = "root mean square of the changes, scene by scene"
_INTERVAL = (
    "95 % interval of the rate, Wilson's, for as many independent rows as the agreement within "
    "worlds leaves"
)

TRUE_EFFECTS = declare(
    Table(
        "true_effects",
        about="One row per artifact, structure and trait of generated images: how it moves the "
        "network's score, measured on the same scenes rendered with and without it.",
        source=_KNOWN,
        columns=(
            Field("feature", "its name", "text"),
            Field("scenes", "how many; 0 for what is in no pixel", "count", "scenes"),
            Field("effect", _EFFECT, unit=_UNIT, chance="0"),
            Field("error", _ERROR, unit=_UNIT),
            Field("size", _SIZE, unit=_UNIT, range="at least |effect|"),
        ),
    )
)

KNOWN = declare(
    Table(
        "known",
        about="One row per network of a study of known answers, feature and kind of evidence.",
        source=_KNOWN,
        columns=(
            Field("network", "its name", "text"),
            Field("world", "what it learned from and was measured on", "text"),
            Field("half", "part of the worlds: `first`, or `held-back`", "text"),
            Field("architecture", "of the network", "text"),
            Field("seed", "of the training", "count"),
            Field("planted", "whether the images that it learned from had the shortcuts", "flag"),
            Field("images", "measured", "count", "images"),
            Field("accuracy", "balanced accuracy on new images like those it learned from",
                  range="0 to 1", chance="0.5"),
            Field("learned", "accuracy of at least 0.7", "flag"),
            Field("feature", "its name", "text"),
            Field("kind", "as in the table of the evidence", "text"),
            Field("role", "in the world: `shortcut`, `medicine`, `correlate`, `other`; `nowhere` "
                  "is in no pixel, `control` random numbers", "text"),
            Field("log_odds", "of malignant, by the feature, in the images learned from",
                  chance="0"),
            Field("goes_with", "of a correlate: the feature that it goes with", "text"),
            Field("agreement", "of a correlate: probability that it is there if and only if that "
                  "is", range="0.5 to 1", chance="0.5"),
            Field("effect", _EFFECT, unit=_UNIT, chance="0"),
            Field("error", _ERROR, unit=_UNIT),
            Field("size", _SIZE, unit=_UNIT),
            Field("truth", "`used`: an effect of 0.5 or more; `weak`: 0.1 to 0.5; `hard null`: "
                  "less, of a correlate of something used or weak; `easy null`: less; `mixed`: "
                  "less on average, but a size of 0.25 or more", "text"),
            Field("evidence", "kind of evidence", "text"),
            Field("said", "whether it says that the feature is used", "flag"),
            Field("p_value", "unadjusted, of the first test of the feature; empty for verdicts",
                  "p"),
            Field("p_adjusted", "least adjusted p-value of the feature; of a verdict, of the tests "
                  "behind it", "p"),
        ),
    )
)  # fmt: skip

KNOWN_ANSWERS = declare(
    Table(
        "known_answers",
        about="One row per kind of evidence, question, and group of networks: how often the "
        "evidence is right where the answer is known.",
        source=_KNOWN,
        columns=(
            Field("half", "part of the worlds, or `all`", "text"),
            Field("by", "what networks or features are grouped by, or `all`", "text"),
            Field("level", "of that", "text"),
            Field("evidence", "kind of evidence; empty where it is asked of networks", "text"),
            Field("question", "`recall`: said to be used; `false alarms`: the same of what is not; "
                  "`p at most ...`; `right`: truly used or weak, of all that is said to be; "
                  "`learned`; `not used without the plant`: shortcuts that are used, once the "
                  "network is trained anew without them", "text"),
            Field("of", "what is asked about: a truth, a band of effects, a band of p-values",
                  "text"),
            Field("n", "rows counted", "count"),
            Field("networks", "that these are of", "count", "networks"),
            Field("rate", "fraction of the rows", range="0 to 1"),
            Field("low", _INTERVAL, range="0 to 1"),
            Field("high", _INTERVAL, range="0 to 1"),
        ),
    )
)  # fmt: skip
