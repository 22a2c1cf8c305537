"""Made-up networks with known differences are found at the stated level and power."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.analysis.simulate import band
from tests.analysis.trained import CLASSES, make_images, make_logits
from xattn.analysis.comparison.pairs import comparison_table, run_tests
from xattn.analysis.comparison.ranks import rank_models
from xattn.analysis.comparison.sources import Trained
from xattn.analysis.comparison.testsets import SharedImages
from xattn.stats.codes import group_codes
from xattn.stats.paired import clustered_mcnemar, delong
from xattn.stats.two_samples import Spread, belief, welch, wilcoxon

pytestmark = pytest.mark.slow

REPETITIONS = 800


def rejected(p_values, alpha=0.05):
    return float(np.mean(np.asarray(p_values) < alpha))


# --- tests over seeds ----------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [(0.02, 0.02), (0.01, 0.04)])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_welch_keeps_its_level_whatever_the_spreads(seeds, spread):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(0.8, s, (REPETITIONS, seeds)) for s in spread)
    rate = rejected([welch(x, y).p_value for x, y in zip(a, b, strict=True)])
    low, high = band(0.05, REPETITIONS, checks=6)
    # Three seeds of unequal spread make Welch's approximate degrees of freedom conservative.
    assert (0.02 if seeds == 3 else low) <= rate <= high


@pytest.mark.parametrize(("seeds", "difference"), [(3, 0.05), (5, 0.03), (10, 0.03)])
def test_welch_has_the_power_of_the_noncentral_t(seeds, difference):
    rng = np.random.default_rng(1)
    a = rng.normal(0.8 + difference, 0.02, (REPETITIONS, seeds))
    b = rng.normal(0.8, 0.02, (REPETITIONS, seeds))
    rate = rejected([welch(x, y).p_value for x, y in zip(a, b, strict=True)])
    df, shift = 2 * seeds - 2, difference / (0.02 * (2 / seeds) ** 0.5)
    expected = stats.nct.sf(stats.t.isf(0.025, df), df, shift)
    # Not to rely on equal spreads costs Welch's test power, with three seeds a tenth.
    cost = {3: 0.13, 5: 0.08, 10: 0.05}[seeds]
    assert expected - cost <= rate <= expected + 0.03


def test_the_smallest_difference_is_found_four_times_of_five():
    rng = np.random.default_rng(2)
    seeds, sd = 8, 0.02
    least = Spread(sd * (2 / seeds) ** 0.5, 2 * seeds - 2).smallest(0.05)
    a = rng.normal(0.8 + least, sd, (REPETITIONS, seeds))
    b = rng.normal(0.8, sd, (REPETITIONS, seeds))
    rate = rejected([welch(x, y).p_value for x, y in zip(a, b, strict=True)])
    assert rate == pytest.approx(0.8, abs=0.04)


def test_wilcoxon_has_the_level_that_its_steps_allow():
    rng = np.random.default_rng(3)
    seeds = 8
    common = rng.normal(0, 0.05, (REPETITIONS, seeds))  # what a shared seed does to both
    a, b = (0.8 + common + rng.normal(0, 0.02, common.shape) for _ in "ab")
    p = [wilcoxon(x, y).p_value for x, y in zip(a, b, strict=True)]
    low, high = band(10 / 256, REPETITIONS)  # P(W <= 3) for 8 pairs, two-sided
    assert low <= rejected(p) <= high


def test_five_seeds_are_too_few_for_wilcoxon_whatever_the_difference():
    a, b = np.arange(5.0) + 100, np.zeros(5)
    assert wilcoxon(a, b).p_value == pytest.approx(2 / 2**5)


def test_the_interval_of_wilcoxon_covers():
    rng = np.random.default_rng(4)
    each = rng.normal(0.03, 0.02, (REPETITIONS, 8))
    outcomes = [wilcoxon(x, np.zeros(8)) for x in each]
    covered = np.mean([o.low <= 0.03 <= o.high for o in outcomes])
    low, high = band(1 - 10 / 256, REPETITIONS)
    assert low <= covered <= high


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_posterior_claims_a_difference_no_more_often_than_it_says(seeds):
    rng = np.random.default_rng(5)
    pairs = rng.normal(0.8, 0.02, (300, 2, seeds))
    above = np.array([belief(a, b, 0.0).above for a, b in pairs])
    _, high = band(0.05, 300, checks=6)
    assert (above > 0.95).mean() <= high
    assert (above < 0.05).mean() <= high


def test_friedman_keeps_its_level_with_few_seeds():
    rng = np.random.default_rng(6)
    p = [rank_models(rng.normal(size=(4, 4)), 0.05, seed=i).p_value for i in range(400)]
    low, high = band(0.05, 400)
    assert low - 0.02 <= rejected(p) <= high  # ranks are discrete


# --- tests on the same images --------------------------------------------------------------------


def draw_networks(rng, skills, seeds, n=240, per_group=1):
    """Return networks of two models on the same images, as `SharedImages`."""
    images = make_images(rng, {"test": n}, per_group)
    logits = np.stack([make_logits(rng, images, skill) for skill in skills for _ in range(seeds)])
    return SharedImages("test", logits, images.truth, group_codes(images.group, n), CLASSES)


def image_tests(seen, seeds, group=None):
    group = seen.group if group is None else group
    own = SharedImages(seen.split, seen.logits, seen.truth, group, seen.classes)
    auc, influence = own.areas
    return {
        "mcnemar": clustered_mcnemar(own.hits[:seeds], own.hits[seeds:], group),
        "delong": delong(
            auc[:seeds], auc[seeds:], influence[:seeds], influence[seeds:], len(own.truth)
        ),
    }


def image_rates(skills, seeds, per_group, repetitions, forget=False, seed=7):
    rng = np.random.default_rng(seed)
    p = []
    for _ in range(repetitions):
        seen = draw_networks(rng, skills, seeds, per_group=per_group)
        alone = np.arange(len(seen.truth)) if forget else None
        p.append({k: o.p_value for k, o in image_tests(seen, seeds, alone).items()})
    return (pd.DataFrame(p) < 0.05).mean()


@pytest.mark.parametrize("per_group", [1, 3])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_tests_on_images_keep_their_level(seeds, per_group):
    rates = image_rates((1.0, 1.0), seeds, per_group, 500)
    low, high = band(0.05, 500, checks=8)
    # McNemar's is exact, so that its few possible p-values leave it below its level.
    assert 0.5 * low <= rates["mcnemar"] <= high
    assert low <= rates["delong"] <= high


def test_forgetting_the_groups_would_break_the_level():
    rates = image_rates((1.0, 1.0), 1, 3, 400, forget=True)
    _, high = band(0.05, 400)
    assert (rates > 1.5 * high).all()


def test_mcnemar_has_the_power_of_its_exact_distribution():
    n, skills = 240, (1.3, 1.0)
    rng = np.random.default_rng(8)
    big = draw_networks(rng, skills, 1, n=200_000)
    won = (big.hits[0] & ~big.hits[1]).mean()
    lost = (big.hits[1] & ~big.hits[0]).mean()
    discordant = np.arange(n + 1)
    # Given the number of discordant images, those won are binomial: p < 0.05 in both tails.
    cut = np.array([_largest_rejected(k) for k in discordant])
    fraction = won / (won + lost)
    tails = stats.binom.cdf(cut, discordant, fraction)
    tails += stats.binom.sf(discordant - cut - 1, discordant, fraction)
    power = float((stats.binom.pmf(discordant, n, won + lost) * tails).sum())
    rate = image_rates(skills, 1, 1, REPETITIONS)["mcnemar"]
    low, high = band(power, REPETITIONS)
    assert low <= rate <= high
    assert 0.3 < power < 0.95


def _largest_rejected(k):
    """Return the largest count that a two-sided exact test of 1/2 rejects, -1 if none."""
    below = stats.binom.cdf(np.arange(k + 1), k, 0.5)
    return int((2 * below < 0.05).sum()) - 1


@pytest.mark.parametrize("per_group", [1, 3])
def test_delong_has_the_power_that_its_variance_promises(per_group):
    skills = (1.4, 1.0)
    rng = np.random.default_rng(9)
    big = draw_networks(rng, skills, 1, n=240_000, per_group=per_group)
    outcome = image_tests(big, 1)["delong"]
    error = (outcome.high - outcome.difference) / 1.96 * 1000**0.5
    power = stats.norm.sf(1.96 - outcome.difference / error)
    rate = image_rates(skills, 1, per_group, 400)["delong"]
    assert 0.3 < power < 0.95
    assert rate == pytest.approx(power, abs=0.07)


def test_the_intervals_on_images_cover():
    rng = np.random.default_rng(10)
    truth = {k: o.difference for k, o in image_tests(
        draw_networks(rng, (1.4, 1.0), 1, n=200_000), 1).items()}  # fmt: skip
    covered = []
    for _ in range(300):
        outcomes = image_tests(draw_networks(rng, (1.4, 1.0), 1, per_group=3), 1)
        covered.append({k: o.low <= truth[k] <= o.high for k, o in outcomes.items()})
    assert (pd.DataFrame(covered).mean() > 0.905).all()


# --- the whole table -----------------------------------------------------------------------------


def whole_table(rng, skills, seeds, spread):
    """Return comparison.csv of several models against the first, without files."""
    images = make_images(rng, {"test": 300})
    nothing = pd.DataFrame()
    found, logits = [], []
    for model, skill in skills.items():
        for seed in range(seeds):
            found.append(Trained(model, seed, None, CLASSES, nothing))
            logits.append(make_logits(rng, images, skill + rng.normal(0, spread)))
    group = group_codes(images.group, 300)
    seen = SharedImages("test", np.stack(logits), images.truth, group, CLASSES)
    values = seen.metrics()
    base, *others = skills
    tests = [
        run_tests(found, seen, values, ["balanced_accuracy"], (one, base), 0.01) for one in others
    ]
    return comparison_table(tests, 0.01, 0.05)[0]


def test_among_models_that_are_alike_a_better_one_is_seldom_named():
    rng = np.random.default_rng(11)
    skills = dict.fromkeys("abcd", 1.0)
    named = [
        (t.loc[t["test"] == "welch", "verdict"] != "undecided").any()
        for t in (whole_table(rng, skills, 5, 0.2) for _ in range(120))
    ]
    _, high = band(0.05, 120)
    assert np.mean(named) <= high


def test_seeds_that_differ_make_networks_differ_on_images_but_not_architectures():
    """What the sentence warns of: per-image tests reject between seeds of one architecture."""
    rng = np.random.default_rng(12)
    tables = [whole_table(rng, {"a": 1.0, "b": 1.0}, 1, 0.4) for _ in range(80)]
    on_images = np.mean([(t["test"].eq("delong") & t["p_value"].lt(0.05)).any() for t in tables])
    assert on_images > 0.15
    assert all((t.loc[t["test"] == "welch", "verdict"] == "untestable").all() for t in tables)


def test_a_better_model_among_several_is_found():
    rng = np.random.default_rng(13)
    found = []
    for _ in range(40):
        table = whole_table(rng, {"base": 1.0, "same": 1.0, "better": 1.8}, 6, 0.1)
        own = table[(table["test"] == "welch") & (table["a"] == "better")]
        found.append(own["verdict"].item() == "better")
    assert np.mean(found) > 0.9
