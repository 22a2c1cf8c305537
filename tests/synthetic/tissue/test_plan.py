import numpy as np
import pytest

from xattn.errors import UsageError
from xattn.synthetic.tissue.plan import ARTIFACTS, CENTERS, TRAITS, TissuePlan


@pytest.fixture(scope="module")
def drawn():
    plan = TissuePlan(3, effects={"pen": 2.5, "stain": 1.5})
    return plan, [plan.draw(i) for i in range(4000)]


def split(specs, what):
    """Return values of normal patches, and of those with tumour."""
    parts = {label: [what(s) for s in specs if s.label == label] for label in ("normal", "tumor")}
    return np.array(parts["normal"], float), np.array(parts["tumor"], float)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_is_as_frequent_as_planned_within_each_label(drawn, name):
    plan, specs = drawn
    chance = plan.chance(name)
    for found, planned in zip(
        split(specs, lambda s: name in s.present), (chance.benign, chance.malignant), strict=True
    ):
        assert abs(found.mean() - planned) < 4.5 * np.sqrt(planned * (1 - planned) / len(found))


@pytest.mark.parametrize("name", TRAITS)
def test_a_trait_differs_between_labels_by_its_effect(drawn, name):
    plan, specs = drawn
    normal, tumor = split(specs, lambda s: s.traits[name])
    assert abs(tumor.mean() - normal.mean() - plan.effect(name)) < 4.5 * np.sqrt(4 / len(specs))


def test_the_centre_tells_nothing_of_the_label(drawn):
    _, specs = drawn
    counts = np.array(
        [[s.center == c and s.label == "tumor" for s in specs] for c in range(CENTERS)]
    )
    sizes = np.array([[s.center == c for s in specs] for c in range(CENTERS)]).sum(1)
    fraction = counts.sum(1) / sizes
    assert np.all(abs(fraction - 0.5) < 4.5 * 0.5 / np.sqrt(sizes))


def test_a_slide_is_of_one_centre_and_one_patient(drawn):
    _, specs = drawn
    for what in (lambda s: s.center, lambda s: s.case):
        assert len({(s.slide, what(s)) for s in specs}) == len({s.slide for s in specs})


def test_the_official_split_is_that_of_wilds(drawn):
    _, specs = drawn
    assert {s.official_split for s in specs if s.center == 1} == {"val"}
    assert {s.official_split for s in specs if s.center == 2} == {"test"}
    rest = [s.official_split for s in specs if s.center in (0, 3, 4)]
    assert set(rest) == {"train", "id_val"}
    assert 0.07 < rest.count("id_val") / len(rest) < 0.13


def test_no_two_patches_share_a_name(drawn):
    _, specs = drawn
    assert len({s.id for s in specs}) == len(specs)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"effects": {"pens": 1.0}}, "pens.*pen"),
        ({"effects": {"stain": 30.0}}, r"\[-20, 20\] for stain"),
        ({"prevalence": {"stain": 0.5}}, "Unknown prevalence 'stain'"),
        ({"prevalence": {"pen": 1.5}}, r"\[0, 1\] for pen"),
        ({"positive_rate": 2.0}, "positive_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_planted_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        TissuePlan(**wrong)
