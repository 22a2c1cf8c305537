from dataclasses import replace

import numpy as np
import pytest

from xattn.errors import UsageError
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import ARTIFACTS, NUCLEI, TissuePlan

PLAN = TissuePlan(1, prevalence=dict.fromkeys(ARTIFACTS, 0.5))
SPECS = [PLAN.draw(i) for i in range(24)]


def test_the_same_spec_gives_the_same_pixels():
    a, b = render_tissue(SPECS[0]), render_tissue(SPECS[0])
    assert np.array_equal(a.image, b.image)


@pytest.mark.parametrize("size", [(96, 96), (64, 80), (224, 224)])
def test_a_mask_of_an_artifact_holds_the_pixels_that_change_without_it(size):
    for spec in SPECS[:6]:
        rendered = render_tissue(spec, size)
        assert rendered.image.shape == (*size, 3)
        assert set(rendered.masks) == {NUCLEI} | spec.present
        for name in spec.present:
            bare = render_tissue(replace(spec, present=spec.present - {name}), size)
            changed = np.any(bare.image != rendered.image, axis=-1)
            assert np.array_equal(changed, rendered.masks[name])
            assert 0.01 < changed.mean() < 0.8
            assert not (rendered.masks[NUCLEI] & changed).any()


def test_tumour_grows_in_the_middle_of_patches_with_the_label_and_nowhere_else():
    for spec in SPECS:
        growth = render_tissue(spec).lesion
        if spec.label == "normal":
            assert not growth.any()
        else:
            assert growth[32:64, 32:64].mean() > 0.9
            assert 0.35 < growth.mean() < 0.95


def test_nuclei_of_tumour_are_larger_and_paler():
    tumour = [replace(s, present=frozenset()) for s in SPECS if s.label == "tumor"]
    for spec in tumour:
        rendered = render_tissue(spec)
        nuclei, growth = rendered.masks[NUCLEI], rendered.lesion
        light = rendered.image.mean(axis=-1)
        if (nuclei & ~growth).sum() > 100:
            assert light[nuclei & growth].mean() > light[nuclei & ~growth].mean() + 5


def test_more_stain_makes_a_patch_darker():
    for spec in SPECS[:6]:
        means = [
            render_tissue(replace(spec, strength={"stain": more})).image.mean()
            for more in (-0.3, 0.0, 0.3)
        ]
        assert means == sorted(means, reverse=True)


def test_an_artifact_of_no_opacity_is_not_there():
    for spec in SPECS[:8]:
        for name in spec.present:
            gone = render_tissue(replace(spec, strength={name: 0.0})).image
            bare = render_tissue(replace(spec, present=spec.present - {name})).image
            assert np.array_equal(gone, bare)


def test_centres_differ_in_colour_more_than_slides_of_one_do():
    plan = TissuePlan(2, effects={})
    colours = {c: [] for c in range(5)}
    for i in range(150):
        spec = replace(plan.draw(i), present=frozenset())
        colours[spec.center].append(render_tissue(spec, (48, 48)).image.mean(axis=(0, 1)))
    means = np.array([np.mean(own, axis=0) for own in colours.values()])
    within = np.mean([np.std(own, axis=0).mean() for own in colours.values()])
    assert means.std(axis=0).mean() > within


def test_a_patch_that_is_too_small_is_refused():
    with pytest.raises(UsageError, match="at least 48 x 48"):
        render_tissue(SPECS[0], (32, 96))


@pytest.mark.parametrize("name", ["stain", "blur", "nuclear_size", "nuclear_density"])
def test_more_and_less_of_what_every_patch_has_is_a_true_counterfactual(name):
    for spec in SPECS[:4]:
        plain = render_tissue(spec)
        same = render_tissue(replace(spec, strength={name: 0.0}))
        assert np.array_equal(same.image, plain.image)
        less, more = (render_tissue(replace(spec, strength={name: s})) for s in (-0.3, 0.3))
        assert np.array_equal(less.lesion, plain.lesion)
        if name in {"stain", "nuclear_size", "nuclear_density"}:
            assert less.image.mean() > plain.image.mean() > more.image.mean()
        if name in {"nuclear_size", "nuclear_density"}:
            areas = [one.masks[NUCLEI].sum() for one in (less, plain, more)]
            assert areas[0] < 0.9 * areas[1]
            assert areas[1] < areas[2]
        if name == "blur":
            detail = [
                np.abs(np.diff(one.image.astype(float), axis=0)).mean() for one in (less, more)
            ]
            assert detail[0] > detail[1]


def test_fewer_nuclei_are_some_of_those_there_were():
    spec = replace(SPECS[1], present=frozenset())
    fewer = render_tissue(replace(spec, strength={"nuclear_density": -0.3}))
    assert not (fewer.masks[NUCLEI] & ~render_tissue(spec).masks[NUCLEI]).any()
