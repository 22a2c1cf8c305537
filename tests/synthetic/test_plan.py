from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from xattn.errors import UsageError
from xattn.synthetic import FEATURES, TRAITS, ImageSpec, Plan
from xattn.synthetic.features import with_features, without_features

STRUCTURES = [name for name, one in FEATURES.items() if one.kind == "structure"]
ARTIFACTS = [name for name, one in FEATURES.items() if one.kind == "artifact"]

N = 2000
STRONG = {
    "streaks": 1.5,
    "negative_network": -1.0,
    "patches": -4.0,
    "ruler": 2.5,
    "sex": 0.7,
    "age": 1.0,
    "border_irregularity": -0.6,
}
# With about 60 comparisons in this file, this level lets a right sampler fail once in 1,600 seeds.
LEVEL = 1e-5


def draw(plan: Plan, n: int = N) -> list[ImageSpec]:
    return [plan.draw(i) for i in range(n)]


@pytest.fixture(scope="module")
def planted() -> tuple[Plan, list[ImageSpec]]:
    plan = Plan(seed=5, pair_rate=0, positive_rate=0.4, effects=STRONG)
    return plan, draw(plan)


@pytest.fixture(scope="module")
def unplanted() -> list[ImageSpec]:
    return draw(Plan(seed=6, pair_rate=0, effects={}))


def malignant(specs: list[ImageSpec]) -> np.ndarray:
    return np.array([spec.label == "malignant" for spec in specs])


def present(specs: list[ImageSpec], name: str) -> np.ndarray:
    if name == "sex":
        return np.array([spec.sex == "male" for spec in specs])
    return np.array([name in spec.present for spec in specs])


def log_odds_ratio(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    cells = np.array([(x & y).sum(), (~x & y).sum(), (x & ~y).sum(), (~x & ~y).sum()]) + 0.5
    return float(np.log(cells) @ [1, -1, -1, 1]), float(np.sqrt((1 / cells).sum()))


@given(st.floats(0, 1), st.floats(0.001, 0.999), st.floats(-12, 12))
@settings(deadline=None, max_examples=80)
def test_chances_have_the_odds_ratio_and_average_to_the_prevalence(rate, prevalence, effect):
    plan = Plan(positive_rate=rate, effects={"hair": effect}, prevalence={"hair": prevalence})
    chance = plan.chance("hair")
    assert 0 <= chance.benign <= 1
    assert 0 <= chance.malignant <= 1
    mean = (1 - rate) * chance.benign + rate * chance.malignant
    assert mean == pytest.approx(prevalence, abs=1e-9)
    odds = chance.malignant * (1 - chance.benign)
    assert odds == pytest.approx(
        math.exp(effect) * chance.benign * (1 - chance.malignant), rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize(("prevalence", "shown"), [(0.0, False), (1.0, True)])
def test_a_prevalence_of_0_or_1_decides_every_image(prevalence, shown):
    plan = Plan(effects={"ruler": 3.0}, prevalence={"ruler": prevalence})
    assert {"ruler" in spec.present for spec in draw(plan, 50)} == {shown}


@pytest.mark.parametrize("name", [*FEATURES, "sex"])
@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_presence_given_the_label_is_binomial_with_the_planned_chance(planted, name, label):
    plan, specs = planted
    chosen = [spec for spec in specs if spec.label == label]
    count = int(present(chosen, name).sum())
    chance = plan.chance(name).given(label)
    low, high = binom.ppf([LEVEL / 2, 1 - LEVEL / 2], len(chosen), chance)
    assert low <= count <= high


@pytest.mark.parametrize("name", [*FEATURES, "sex"])
def test_the_realised_log_odds_ratio_is_the_effect(planted, name):
    _, specs = planted
    estimate, error = log_odds_ratio(present(specs, name), malignant(specs))
    assert abs(estimate - STRONG.get(name, 0.0)) < norm.isf(LEVEL / 2) * error
    if abs(STRONG.get(name, 0.0)) > 0.5:
        assert abs(estimate) > 3 * error  # and it is no estimate of zero


@pytest.mark.parametrize("name", TRAITS)
def test_traits_shift_by_their_effect_in_standard_deviations(planted, name):
    _, specs = planted
    scores = np.array([spec.traits[name] for spec in specs])
    y = malignant(specs)
    gap = scores[y].mean() - scores[~y].mean()
    error = np.sqrt(1 / y.sum() + 1 / (~y).sum())
    assert abs(gap - STRONG.get(name, 0.0)) < norm.isf(LEVEL / 2) * error
    assert abs(scores.mean()) < norm.isf(LEVEL / 2) / np.sqrt(N) * 1.2
    assert scores[y].std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("name", [*FEATURES, "sex", *TRAITS])
def test_with_no_effects_every_variable_is_independent_of_the_label(unplanted, name):
    y = malignant(unplanted)
    if name in TRAITS:
        scores = np.array([spec.traits[name] for spec in unplanted])
        statistic = (scores[y].mean() - scores[~y].mean()) / np.sqrt(1 / y.sum() + 1 / (~y).sum())
    else:
        estimate, error = log_odds_ratio(present(unplanted, name), y)
        statistic = estimate / error
    assert abs(statistic) < norm.isf(LEVEL / 2)


def test_features_are_independent_of_each_other_given_the_label(planted):
    _, specs = planted
    y = malignant(specs)
    columns = {name: present(specs, name) for name in [*FEATURES, "sex"]}
    worst = 0.0
    for a, b in itertools.combinations(columns, 2):
        for group in (y, ~y):
            estimate, error = log_odds_ratio(columns[a][group], columns[b][group])
            worst = max(worst, abs(estimate) / error)
    assert worst < norm.isf(LEVEL / 2)


def test_labels_have_the_positive_rate(planted):
    _, specs = planted
    low, high = binom.ppf([LEVEL / 2, 1 - LEVEL / 2], N, 0.4)
    assert low <= malignant(specs).sum() <= high


def test_naming_one_effect_makes_the_others_zero_and_naming_none_takes_the_defaults():
    named, default = Plan(effects={"ruler": 2.0}), Plan()
    assert named.effect("ruler") == 2
    assert named.effect("patches") == 0
    assert default.effect("patches") == FEATURES["patches"].effect < -2
    assert default.effect("streaks") > 0


def test_another_effect_of_one_feature_leaves_all_else_as_it_was():
    before, after = draw(Plan(seed=2, effects={}), 200), draw(Plan(seed=2, effects={"ink": 3}), 200)
    for old, new in zip(before, after, strict=True):
        assert without_features(old, "ink") == without_features(new, "ink")
    assert any(old != new for old, new in zip(before, after, strict=True))


def test_images_of_one_lesion_share_what_belongs_to_the_lesion_but_not_the_artifacts():
    specs = draw(Plan(seed=1, pair_rate=0.5, effects={}), 400)
    pairs = [(a, b) for a, b in itertools.pairwise(specs) if a.group == b.group]
    low, high = binom.ppf([LEVEL / 2, 1 - LEVEL / 2], 200, 0.5)
    assert low <= len(pairs) <= high
    for a, b in pairs:
        assert (a.index % 2, b.index) == (0, a.index + 1)
        assert (a.label, a.sex, a.traits) == (b.label, b.sex, b.traits)
        assert a.present & set(STRUCTURES) == b.present & set(STRUCTURES)
    assert any(a.present & set(ARTIFACTS) != b.present & set(ARTIFACTS) for a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"effects": {"rulr": 1.0}}, "did you mean 'ruler'"),
        ({"effects": {"ruler": 21.0}}, r"\[-20, 20\] for ruler"),
        ({"effects": {"ruler": math.nan}}, "ruler"),
        ({"prevalence": {"patch": 0.1}}, "did you mean 'patches'"),
        ({"prevalence": {"age": 0.1}}, "Unknown prevalence 'age'"),
        ({"prevalence": {"hair": 1.1}}, r"\[0, 1\] for hair"),
        ({"positive_rate": -0.1}, "positive_rate"),
        ({"pair_rate": 2.0}, "pair_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_planned_is_named(settings, words):
    with pytest.raises(UsageError, match=words):
        Plan(**settings)
    Plan(effects={"ruler": 20.0, "age": 1.0}, prevalence={"hair": 1.0}, positive_rate=0, seed=0)


def test_a_spec_changes_its_features_by_name_alone():
    spec = Plan().draw(0)
    assert "ruler" in with_features(spec, "ruler").present
    assert "ruler" not in without_features(with_features(spec, "ruler"), "ruler").present
    with pytest.raises(UsageError, match="did you mean 'hair'"):
        with_features(spec, "hairs")


def test_age_is_in_steps_of_five_years_within_bounds():
    ages = {spec.age for spec in draw(Plan(), 300)}
    assert ages <= set(range(10, 90, 5))
    assert len(ages) > 8
