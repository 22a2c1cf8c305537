from types import SimpleNamespace

import pandas as pd
import pytest

from tests.figures.artists import drawn, words
from tests.figures.made_tables import doses_table
from tests.figures.populated import complete_run
from xattn.analysis.interventions.doses.registry import GRADED_EDITS
from xattn.analysis.interventions.known import known_of
from xattn.figures.page.caveats import _about_doses, _about_truth
from xattn.figures.paper.dose_response import draw_dose_response
from xattn.figures.registry import NothingToDrawError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("dosed"), n=6)


def test_every_edit_has_a_panel_with_its_curve_through_nothing_at_dose_nothing(run):
    table = run.table("doses")
    fig = drawn(draw_dose_response, run)
    panels = [ax for ax in fig.axes if ax.get_visible()]
    assert len(panels) == len(table.drop_duplicates(["feature", "intervention"]))
    for ax in panels:
        for line in ax.lines[:2]:
            assert (0.0, 0.0) in set(zip(*line.get_data(), strict=True))
    assert "+0.6*" in words(fig)


def test_edits_of_tissue_and_several_of_one_feature_are_told_apart(run):
    before = run.table("doses")
    table = doses_table({"bubble": "artifact"})
    more = [
        table[table["feature"] == "bubble"].assign(intervention=e) for e in ("size", "distance")
    ]
    named = {"stain": "haematoxylin", "sharpness": "sharpness", "nuclear-size": "nuclei_diameter",
             "nuclear-density": "nuclei_count"}  # fmt: skip
    for edit, feature in named.items():
        rows = table[table["feature"] == "light"]
        more.append(rows.assign(feature=feature, intervention=edit, kind="computed", masks="none"))
    run.write_table("doses", pd.concat([table, *more]))
    fig = drawn(draw_dose_response, run)
    assert len([ax for ax in fig.axes if ax.get_visible()]) == 2 + len(more)
    said = words(fig)
    for what in ("bubble, opacity", "bubble, size", "bubble, distance", "haematoxylin"):
        assert what in said
    assert "haematoxylin, stain" not in said  # it has one edit alone
    run.write_table("doses", before)


def test_the_report_warns_of_masks_of_a_detector():
    table = doses_table({"hair": "artifact"})
    detected = table.assign(masks="detected")
    (said,) = _about_doses(SimpleNamespace(table=lambda _: detected))
    assert "masks of a detector" in said
    assert not list(_about_doses(SimpleNamespace(table=lambda _: table)))
    assert not list(_about_doses(SimpleNamespace(table=lambda _: None)))


def test_the_report_warns_of_edits_that_are_known_to_be_poor_and_of_those_of_which_none_knows():
    def said(**tables):
        sources = SimpleNamespace(table=tables.get, features=None)
        return list(_about_truth(sources))

    doses = doses_table({"hair": "artifact"})
    assert not said(doses=doses)
    assert not said()
    (warning,) = said(doses=doses.assign(intervention="skin-tone"))
    assert f"{known_of('skin-tone', 'skin_tone').slope:.2f}" in warning
    assert GRADED_EDITS["skin-tone"].caveat in warning
    assert not said(doses=doses.assign(intervention="skin-tone", slope=float("nan")))
    edits = pd.DataFrame({
        "feature": ["hair", "scar", "control-patch"], "kind": ["artifact", "artifact", "control"],
        "intervention": "inpaint", "delta_logit": 0.3,
    })  # fmt: skip
    (warning,) = said(interventions=edits, doses=doses)
    assert warning.endswith("were the edits inpaint of scar.")


def test_masks_of_a_detector_are_said_and_nothing_to_draw_is_an_error(run):
    before = run.table("doses")
    run.write_table("doses", before.assign(masks="detected"))
    assert "masks of a detector" in words(drawn(draw_dose_response, run))
    run.write_table("doses", before.assign(excess_logit=float("nan"), note="no images show it"))
    with pytest.raises(NothingToDrawError, match="no images show it"):
        draw_dose_response(run)
    run.write_table("doses", before)
