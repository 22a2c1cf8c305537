from dataclasses import replace

import pytest

from xattn.analysis.comparison.verdicts import PairFinding, sentence, verdict, verdict_of_belief
from xattn.stats.two_samples import Belief, DifferenceTest

NOTHING = DifferenceTest(0.01, p_value=0.5)
FINDING = PairFinding(
    a="new", b="old", split="test", metric="balanced_accuracy", seeds=(5, 5),
    welch=DifferenceTest(0.02, -0.01, 0.05, 1.5, 0.2), p_adjusted=0.2, smallest=0.04,
    belief=Belief(-0.01, 0.05, 0.6, 0.3, 0.1), rope=0.01,
    over_images={"mcnemar": (NOTHING, 0.5), "delong": (NOTHING, 0.6)}, alpha=0.05,
)  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "p", "lower", "expected"),
    [
        (0.1, 0.01, False, "better"),
        (-0.1, 0.01, False, "worse"),
        (-0.1, 0.01, True, "better"),
        (0.1, 0.05, False, "undecided"),
        (0.1, float("nan"), False, "untestable"),
    ],
)
def test_a_verdict_follows_sign_level_and_sense_of_the_metric(difference, p, lower, expected):
    assert verdict(difference, p, 0.05, lower) == expected


@pytest.mark.parametrize(
    ("probabilities", "lower", "expected"),
    [
        ((0.96, 0.03, 0.01), False, "better"),
        ((0.96, 0.03, 0.01), True, "worse"),
        ((0.01, 0.97, 0.02), False, "equivalent"),
        ((0.6, 0.3, 0.1), False, "undecided"),
    ],
)
def test_the_posterior_decides_from_95_percent(probabilities, lower, expected):
    assert verdict_of_belief(Belief(0, 0, *probabilities), lower) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "not enough seeds to tell; at this spread they show a difference of 0.040"),
        ({"smallest": 1.8}, "at this spread they could show no difference"),
        ({"p_adjusted": 0.01}, "new is better, and would be expected to be if trained again"),
        ({"p_adjusted": 0.01, "lower_is_better": True}, "new is worse"),
        ({"belief": Belief(-0.005, 0.005, 0.01, 0.98, 0.01)}, "equivalent for practical purposes"),
        ({"seeds": (1, 1)}, "one seed each cannot resolve"),
        ({"seeds": (1, 3)}, "1 and 3 seeds cannot resolve"),
        ({"welch": DifferenceTest(0.02, 0.02, 0.02)}, "the seeds of each are all alike"),
        ({"welch": DifferenceTest(0.0, -0.1, 0.1, 0.0, 1.0)}, "differs by less than 0.001"),
        ({"welch": DifferenceTest(-0.02, -0.1, 0.1, -1.0, 0.4)}, "accuracy is 0.020 lower"),
        ({}, "do not differ for certain (McNemar p 0.500 and DeLong p 0.600)"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_can_be_concluded(change, words):
    assert words in sentence(replace(FINDING, **change))


@pytest.mark.parametrize(
    ("accuracy", "auc", "words"),
    [
        ((0.1, 0.001), (0.1, 0.3), "trained networks of new lead in accuracy (McN"),
        ((-0.1, 0.001), (-0.1, 0.001), "trained networks of old lead in accuracy and AUC (McN"),
        ((-0.1, 0.001), (0.1, 0.001), "lead in accuracy, the other's in AUC"),
    ],
)
def test_the_images_are_about_the_trained_networks(accuracy, auc, words):
    tests = {"mcnemar": accuracy, "delong": auc}
    told = {name: (DifferenceTest(d, p_value=p), p) for name, (d, p) in tests.items()}
    assert words in sentence(replace(FINDING, over_images=told))
