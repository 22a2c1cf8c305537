"""What the report says of edits is what was measured where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.analysis.counterfactuals import NO_TRUTH
from tests.analysis.counterfactuals.__main__ import KINDS
from tests.analysis.counterfactuals.figures import COLUMNS
from xattn.analysis.interventions import known as module
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.known import (
    FILE,
    Known,
    caveats_of,
    known,
    known_of,
)
from xattn.features.computed.collect import DETECTED

GOOD = Known(
    "dermoscopy", "opacity", "hair", 20, 20, 0.98, 30, 120, 1.0, 0.97, 0.95, 0.99, 1.02, 0.98, 1.06,
    1.0, 0.1, 0.05, 0.05,
)  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    def tell(*rows: Known) -> None:
        monkeypatch.setattr(module, "known", lambda: rows)

    return tell


def test_the_file_has_the_columns_of_the_harness_and_edits_that_it_holds_each_once():
    assert FILE.read_text(encoding="utf-8").splitlines()[0].split(",") == COLUMNS
    held = {
        (kind.domain, one.edit, task.feature)
        for kind in KINDS.values()
        for task in kind.tasks.values()
        for one in task.held
    }
    rows = {(one.domain, one.edit, one.feature) for one in known()}
    assert rows <= held, "no network can have been asked"
    assert not {edit for _, edit, _ in rows} & set(NO_TRUTH)
    assert len(rows) == len(known())


def test_networks_that_count_have_learnt_what_they_are_asked_and_figures_lie_in_their_intervals():
    for one in known():
        assert 0 <= one.learnt <= one.networks
        if one.is_known:
            assert one.correlation_low <= one.correlation <= one.correlation_high <= 1
            assert one.slope_low <= one.slope <= one.slope_high


@pytest.mark.parametrize(
    ("change", "poor"),
    [
        ({}, False),
        ({"correlation": 0.79}, True),
        ({"correlation": 0.81}, False),
        ({"slope": 0.66}, True),
        ({"slope": 1.51}, True),
        ({"slope": 1.49}, False),
        ({"slope": -1.0}, True),
        ({"correlation": float("nan")}, True),
        ({"slope": 0.2, "learnt": 4}, False),  # nothing is known
    ],
)
def test_an_edit_is_poor_by_correlation_and_slope_if_enough_networks_know_the_feature(change, poor):
    assert replace(GOOD, **change).is_poor is poor


def test_a_good_edit_needs_no_word_and_a_poor_one_is_said_with_its_figures(told):
    told(GOOD, replace(GOOD, feature="ruler", slope=0.5, slope_low=0.41, slope_high=0.62))
    assert caveats_of([("opacity", "hair"), ("opacity", f"hair{DETECTED}")]) == []
    (said,) = caveats_of([("opacity", "ruler"), ("opacity", "ruler")])
    assert said == (
        "On generated images the edit opacity of ruler shows 0.50 (95 % interval 0.41 to 0.62) of "
        "the true change of the score, with a correlation of 0.97 (20 networks)."
    )


def test_a_poor_edit_says_why_where_that_is_known(told):
    told(replace(GOOD, edit="skin-tone", feature="skin_tone", slope=0.5))
    (said,) = caveats_of([("skin-tone", "skin_tone")])
    assert said.endswith(f": {GRADED_EDITS['skin-tone'].caveat}.")
    told(replace(GOOD, edit="skin-tone", feature="skin_tone"))
    assert caveats_of([("skin-tone", "skin_tone")]) == []


def test_what_was_not_held_against_the_truth_is_named_once(told):
    told(GOOD, replace(GOOD, feature="globules", learnt=0))
    asked = [("opacity", "scar"), ("opacity", "globules"), ("occlude-surround", "lesion")]
    (said,) = caveats_of([*asked, *asked, ("opacity", "hair")])
    assert said.endswith(
        "were the edits opacity of scar, opacity of globules, occlude-surround of lesion."
    )


def test_what_is_known_of_images_of_the_same_domain_comes_first(told):
    there = replace(GOOD, domain="tissue", edit="light", feature="light", slope=0.9)
    told(replace(there, domain="dermoscopy", slope=1.0), there)
    assert known_of("light", "light", "tissue").slope == 0.9
    assert known_of("light", "light").slope == 1.0
    assert known_of("light", "light", "radiograph").slope == 1.0
    assert known_of("insert", "hair") is None
