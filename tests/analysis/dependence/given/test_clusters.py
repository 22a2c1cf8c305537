import numpy as np

from xattn.analysis.dependence.given.clusters import clusters
from xattn.analysis.dependence.given.encoding import encode
from xattn.stats.columns import Column, as_column

RNG = np.random.default_rng(5)
AREA = RNG.exponential(size=300)


def numbers(*columns):
    return clusters([encode(column) for column in columns]).tolist()


def named(values, name, aspect=None):
    return as_column(values, name, "computed", aspect)


def test_area_and_diameter_say_the_same_and_age_does_not():
    found = numbers(
        named(AREA, "lesion", "area"),
        named(np.sqrt(AREA) + 0.01 * RNG.normal(size=300), "diameter"),
        named(RNG.normal(size=300), "age"),
    )
    assert found[0] == found[1] != found[2]


def test_a_correlate_in_nine_of_ten_images_is_a_feature_of_its_own():
    used = RNG.integers(0, 2, 300)
    other = np.where(RNG.random(300) < 0.9, used, RNG.integers(0, 2, 300))
    assert len(set(numbers(named(used, "ruler"), named(other, "ink")))) == 2


def test_presence_area_and_count_of_one_structure_are_tested_together():
    shown = (RNG.random(300) < 0.5).astype(float)
    found = numbers(
        named(shown, "streaks"),
        named(shown * AREA, "streaks", "area"),
        named(shown * RNG.integers(1, 5, 300), "streaks", "count"),
    )
    assert len(set(found)) == 1


def test_whether_a_value_is_known_is_not_the_value():
    missing = (RNG.random(300) < 0.3).astype(float)
    age = np.where(missing > 0, np.nan, RNG.normal(size=300))
    assert len(set(numbers(named(age, "age"), Column("age", "metadata", "missing", missing)))) == 2


def test_chains_do_not_join_their_ends():
    steps = [AREA]
    for _ in range(6):
        steps.append(steps[-1] + 0.35 * RNG.exponential(size=300))
    found = numbers(*(named(step, f"f{i}") for i, step in enumerate(steps)))
    assert found[0] != found[-1]


def test_features_that_are_the_same_but_for_rounding_are_one_cluster(monkeypatch):
    beyond = np.full((3, 3), 1 + 1e-12)
    monkeypatch.setattr("xattn.analysis.dependence.given.clusters._likeness", lambda _: beyond)
    assert numbers(*(named(AREA, name) for name in ("one", "other", "third"))) == [0, 0, 0]


def test_a_feature_alone_and_none_at_all_are_fine():
    assert numbers(named(AREA, "lesion")) == [0]
    assert numbers() == []
