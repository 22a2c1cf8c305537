import numpy as np
import pytest
from pydantic import ValidationError

from xattn.analysis.known.world import World, changed, contrasts
from xattn.synthetic import FEATURES, LABELS

WORLD = World(
    name="w",
    seed=3,
    shortcuts={"patches": 4.0},
    medicine={"globules": 3.0, "colour_variegation": 1.0},
    correlates={"hair": "patches", "ink": "colour_variegation"},
    agreement=0.9,
    shapes=["square-patches"],
)
N = 600


@pytest.fixture(scope="module")
def learnt():
    return [WORLD.to_learn(i, planted=True) for i in range(N)]


@pytest.fixture(scope="module")
def measured():
    return [WORLD.to_measure(i) for i in range(N)]


def phi(specs, first, second):
    """Correlation of two yes/no facts of scenes, each a function of one."""
    return np.corrcoef([first(s) for s in specs], [second(s) for s in specs])[0, 1]


def has(name):
    return lambda spec: name in spec.present


def malignant(spec):
    return spec.label == LABELS[1]


def test_shortcuts_and_medicine_go_with_the_label_where_networks_learn(learnt):
    # Log odds of 4 and 3 at a prevalence of one half: 0.76 and 0.64.
    assert phi(learnt, has("patches"), malignant) == pytest.approx(0.76, abs=0.08)
    assert phi(learnt, has("globules"), malignant) == pytest.approx(0.64, abs=0.1)
    assert abs(phi(learnt, has("hair"), malignant)) < 0.15
    assert abs(phi(learnt, has("hair"), has("patches"))) < 0.15


def test_without_the_plant_only_the_shortcuts_are_others(learnt):
    without = [WORLD.to_learn(i, planted=False) for i in range(N)]
    assert abs(phi(without, has("patches"), malignant)) < 0.15
    for one, other in zip(learnt, without, strict=True):
        assert one.present ^ other.present <= {"patches"}
        assert (one.label, one.traits, one.shapes) == (other.label, other.traits, other.shapes)


def test_where_networks_are_measured_medicine_alone_goes_with_the_label(measured):
    assert abs(phi(measured, has("patches"), malignant)) < 0.15
    assert phi(measured, has("globules"), malignant) == pytest.approx(0.64, abs=0.1)


def test_correlates_are_there_with_what_they_go_with_as_often_as_asked_for(measured):
    agree = np.mean([has("hair")(s) == has("patches")(s) for s in measured])
    assert agree == pytest.approx(0.9, abs=0.05)
    agree = np.mean([has("ink")(s) == (s.traits["colour_variegation"] > 0) for s in measured])
    assert agree == pytest.approx(0.9, abs=0.05)


def test_scenes_of_one_world_are_no_others_of_another():
    other = World(**{**WORLD.model_dump(), "name": "v", "seed": 4})
    assert other.to_measure(0).traits != WORLD.to_measure(0).traits
    assert WORLD.to_learn(0, True).traits != WORLD.to_measure(0).traits


@pytest.mark.parametrize("name", contrasts())
def test_both_ways_of_a_scene_differ_in_one_thing_alone(name):
    spec = WORLD.to_measure(0)
    less, more = (changed(spec, name, way) for way in contrasts()[name])
    if name in FEATURES:
        assert more.present - less.present == {name}
        assert less.traits == more.traits
    else:
        assert (less.traits[name], more.traits[name]) == (-1.0, 1.0)
        assert less.present == more.present


def test_every_feature_has_a_role():
    roles = {
        "patches": "shortcut", "globules": "medicine", "hair": "correlate", "ruler": "other",
        "age": "nowhere",
    }  # fmt: skip
    assert {name: WORLD.role(name) for name in roles} == roles
    assert WORLD.role("control-noise", "control") == "control"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shortcuts": {"patch": 1.0}}, "unknown feature 'patch'.*patches"),
        ({"medicine": {"age": 1.0}}, "unknown feature 'age'"),
        ({"medicine": {"patches": 1.0}}, "each feature once, but got 'patches'"),
        ({"correlates": {"hair": "ruler"}}, "hair = 'ruler'"),
        ({"correlates": {"skin_tone": "patches"}}, "skin_tone = 'patches'"),
        ({"shapes": ["round"]}, "unknown shape 'round'"),
        ({"agreement": 0.4}, "greater than or equal to 0.5"),
    ],
)
def test_what_makes_no_world_is_named(values, said):
    with pytest.raises(ValidationError, match=said):
        World(**{**WORLD.model_dump(), **values})
