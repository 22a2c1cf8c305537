"""What a study found agrees with a claim, contradicts it, or leaves it open."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xattn.errors import UsageError
from xattn.runs.tables.verdicts import (
    BEYOND,
    CHANGES,
    COMES_WITH,
    NOT_TESTABLE,
    NOT_USED,
    UNCLEAR,
    VERDICTS,
)
from xattn.study.claims.judge import ALL, Judged, Network, judge
from xattn.study.claims.settings import Claim


def network(model="a-ga", learned=True, **features) -> Network:
    """Return a network with a verdict, or (verdict, more columns), of each feature."""
    rows = []
    for name, verdict in features.items():
        told, more = verdict if isinstance(verdict, tuple) else (verdict, {})
        rows.append({"feature": name, "verdict": told, "detectable_effect": 0.2, **more})
    return Network(model, pd.DataFrame(rows), learned)


def found(claim: Claim, networks, pairs=None) -> dict[str, Judged]:
    return {one.about: one for one in judge(claim, networks, pairs)}


def claim(says="used", features=("ruler",), **more) -> Claim:
    return Claim(claim="said", says=says, features=features, **more)


@pytest.mark.parametrize(
    ("verdicts", "used", "not_used"),
    [
        ([CHANGES] * 6, "agrees", "disagrees"),
        ([BEYOND] * 6, "agrees", "disagrees"),
        ([NOT_USED, COMES_WITH] * 3, "disagrees", "agrees"),
        ([CHANGES, NOT_USED] * 5, "cannot be told", "cannot be told"),
        ([UNCLEAR, NOT_TESTABLE] * 5, "cannot be told", "cannot be told"),
        ([CHANGES] * 2, "cannot be told", "cannot be told"),  # two networks are few
    ],
)
def test_a_feature_is_used_where_most_networks_use_it(verdicts, used, not_used):
    networks = [network(ruler=verdict) for verdict in verdicts]
    assert found(claim("used"), networks)["ruler"].found == used
    assert found(claim("not used"), networks)["ruler"].found == not_used


@pytest.mark.parametrize("verdict", [v for v in VERDICTS if v.startswith("used")])
def test_every_verdict_of_use_counts_as_use_but_what_is_not_told_apart(verdict):
    told = found(claim("used"), [network(ruler=verdict)] * 9)["ruler"]
    assert told.found == ("cannot be told" if verdict == UNCLEAR else "agrees")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_counts_for_use_against_it_or_for_neither(verdict):
    told = found(claim("used"), [network(ruler=verdict)] * 9)["ruler"]
    said = {1.0: "agrees", 0.0: "disagrees"}
    assert told.found in (said[told.value], "cannot be told")
    assert told.n == 9
    assert told.smallest == pytest.approx(0.2)


def test_networks_that_did_not_learn_are_counted_and_say_nothing():
    networks = [network(ruler=CHANGES)] * 6 + [network(ruler=NOT_USED, learned=False)] * 30
    told = found(claim("used"), networks)["ruler"]
    assert (told.found, told.n, told.left_out) == ("agrees", 6, 30)


@pytest.mark.parametrize(
    ("says", "some", "whole"),
    [
        ("used", False, "disagrees"),  # all of them are said to be used
        ("used", True, "agrees"),  # one suffices
        ("not used", False, "disagrees"),  # none is said to be used
    ],
)
def test_a_claim_of_several_features_is_of_all_or_of_some(says, some, whole):
    networks = [network(ruler=CHANGES, hair=NOT_USED)] * 8
    told = found(claim(says, ("ruler", "hair"), any=some), networks)
    assert told[ALL].found == whole


def test_features_and_models_are_chosen_by_patterns():
    networks = [network("a", x_asymmetry=CHANGES, other=NOT_USED)] * 4
    networks += [network("a-ga", x_asymmetry=NOT_USED, other=NOT_USED)] * 6
    told = found(claim("used", ("*_asymmetry",), models=("*-ga",)), networks)
    assert list(told) == [ALL, "x_asymmetry"]
    assert told["x_asymmetry"].n == 6
    assert told["x_asymmetry"].found == "disagrees"


def test_a_feature_that_no_network_has_leaves_the_claim_open():
    assert found(claim("used"), [network(hair=CHANGES)] * 9)[ALL].found == "cannot be told"


def test_the_effect_is_the_mean_and_its_interval_does_not_shrink_with_networks():
    more = {"effect_given": 0.2, "effect_given_low": 0.1, "effect_given_high": 0.3}
    few, many = (found(claim(), [network(ruler=(CHANGES, more))] * n)["ruler"] for n in (3, 300))
    assert few.effect == pytest.approx(many.effect)
    assert few.effect == pytest.approx((0.2, 0.1, 0.3))


def maps(attention, gradcam, coarse=False):
    """Return columns of lifts: (over chance, p) of either method."""
    told = {}
    for name, (lift, p) in {"attention": attention, "gradcam": gradcam}.items():
        told |= {f"lift_over_chance_{name}": lift, f"lift_p_{name}": p}
    return told | {"too_coarse_attention": coarse, "too_coarse_gradcam": False}


ON_IT, OFF_IT = (2.0, 0.001), (1.0, 0.9)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (maps(ON_IT, OFF_IT), "disagrees"),
        (maps(ON_IT, ON_IT), "agrees"),
        (maps(OFF_IT, ON_IT), "agrees"),
        (maps((0.4, 0.001), OFF_IT), "agrees"),  # beside it is not on it
        (maps(ON_IT, OFF_IT, coarse=True), "agrees"),
        (maps((np.nan, np.nan), OFF_IT), "cannot be told"),
        ({}, "cannot be told"),  # a model without attention
    ],
)
def test_maps_add_something_where_they_lie_on_what_the_others_do_not(columns, said):
    networks = [network(ruler=(CHANGES, columns))] * 9
    assert found(claim("maps add nothing"), networks)["ruler"].found == said


def pair(a="r-ga", low=-0.01, high=0.01, verdict="undecided", split="test", test="welch"):
    return {
        "a": a, "b": "r", "test": test, "split": split, "metric": "balanced_accuracy",
        "difference": (low + high) / 2, "low": low, "high": high, "n": 10, "verdict": verdict,
        "smallest": 0.03,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([pair(), pair(split="ood")], "agrees"),
        ([pair(), pair(high=0.05)], "cannot be told"),  # a gain that matters is not ruled out
        ([pair(), pair(low=0.01, high=0.05, verdict="better")], "disagrees"),
        ([pair(), pair("r", low=0.1, high=0.2, verdict="better")], "agrees"),  # no hybrid
        ([pair(), pair(low=0.1, high=0.2, verdict="better", test="mcnemar")], "agrees"),
        ([], "cannot be told"),
    ],
)
def test_no_gain_agrees_only_where_one_that_matters_is_ruled_out(rows, said):
    one = Claim(claim="said", says="no gain", models=("*-ga",), matters=0.02)
    assert found(one, [], pd.DataFrame(rows))[ALL].found == said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"claim": ""}, "a sentence as claim"),
        ({"claim": "x", "says": "usde"}, "Unknown says 'usde'; did you mean 'used'"),
        ({"claim": "x", "says": "used"}, "features of the claim 'x'"),
    ],
)
def test_a_claim_that_says_nothing_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        Claim(**values)
