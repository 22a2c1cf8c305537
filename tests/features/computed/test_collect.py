import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.analysis.painted import PaintedRun, painted_run
from tests.fabricate import fabricate_run
from xattn.analysis.dependence.table import measured_columns
from xattn.analysis.notes import notes
from xattn.annotations import read_annotations
from xattn.features.computed import COMPUTED_FEATURES
from xattn.features.computed.collect import DETECTED, measure_images
from xattn.features.detected import DETECTORS
from xattn.features.feature_set import FeatureSet, collect_features
from xattn.runs.atomic import read_record
from xattn.synthetic.tissue.dataset import synthesize_tissue


@pytest.fixture
def made(tmp_path) -> PaintedRun:
    return painted_run(tmp_path, 8)


def change(made: PaintedRun, edit):
    """Edit the annotation file as JSON and read it again."""
    content = json.loads(made.annotations.path.read_text())
    edit(content)
    made.annotations.path.write_text(json.dumps(content))
    return read_annotations(made.annotations.path)


def test_computed_features_stand_in_the_table_with_their_kind_and_their_cards(made):
    features = FeatureSet.open(made.run)
    of_lesions = {name: one for name, one in COMPUTED_FEATURES.items() if one.needs_lesion}
    assert set(of_lesions) < set(features.table.columns)
    assert {features.kinds[name] for name in of_lesions} == {"computed"}
    facts = read_record(made.run.path / "features.json")
    assert facts["frame"] == 256
    assert facts["computed"] == {name: card.to_dict() for name, card in of_lesions.items()}
    # A disc of radius 11 in an image of 48.
    assert features.table["diameter"].to_numpy() == pytest.approx(22 / 48, abs=0.03)
    assert features.table["lesion_cut"].eq(0).all()


def test_why_something_is_unknown_is_counted_and_said(made):
    features = FeatureSet.open(made.run)
    reason = "the lesion is less than 64 pixels wide"
    assert features.unmeasured == {"fractal_dimension": {reason: 8}}
    assert features.table["fractal_dimension"].isna().all()
    assert f"8 images have no value of computed feature fractal_dimension: {reason}" in notes(
        made.run, features
    )


def test_images_without_a_lesion_mask_or_that_are_gone_have_no_values(made):
    annotations = change(made, lambda c: c["images"][0].pop("lesion"))
    made.run.image_path(1).unlink()
    made.run.image_path(2).write_bytes(b"not an image")
    seen = measure_images(made.run, annotations)
    assert np.isnan(seen.columns["diameter"]).tolist() == [True] * 3 + [False] * 5
    reasons = seen.facts["unmeasured"]["diameter"]
    assert reasons == {
        "there is no lesion mask that can be used": 1,
        "the image cannot be read": 2,
    }


def test_without_any_lesion_mask_nothing_is_computed(made):
    annotations = change(made, lambda c: [image.pop("lesion") for image in c["images"]])
    assert measure_images(made.run, annotations).columns == {}


def test_it_can_be_left_out(made):
    features = collect_features(made.run, made.annotations, computed=False)
    assert not set(COMPUTED_FEATURES) & set(features.table.columns)
    assert features.unmeasured == {}


def test_a_feature_of_the_same_name_in_the_file_is_kept(made):
    def edit(content):
        content["features"]["diameter"] = {"kind": "metadata"}
        for i, image in enumerate(content["images"]):
            image["values"] = {"diameter": i}

    features = collect_features(made.run, change(made, edit))
    assert features.table["diameter"].tolist() == list(range(8))
    assert features.kinds["diameter"] == "metadata"
    assert "compactness" in features.table


def test_scores_of_detectors_are_artifacts_of_their_own(made):
    features = collect_features(made.run, made.annotations, detected=True)
    names = [name + DETECTED for name in DETECTORS]
    assert features.table[names].apply(lambda c: c.between(0, 1)).all(axis=None)
    assert {features.kinds[name] for name in names} == {"artifact"}
    columns = {(c.feature, c.aspect) for c in measured_columns(features)}
    assert {(name, "value") for name in names} <= columns


def test_threads_change_nothing(made):
    alone = measure_images(made.run, made.annotations, detected=True, workers=0)
    many = measure_images(made.run, made.annotations, detected=True, workers=3)
    pd.testing.assert_frame_equal(pd.DataFrame(alone.columns), pd.DataFrame(many.columns))
    assert alone.facts == many.facts


def test_artifacts_with_masks_are_kept_out_of_the_skin(made):
    # The green patch is no skin: with its mask the tone is that of the images without one.
    table = FeatureSet.open(made.run).table
    with_patch = table["patch"] == 1
    assert with_patch.any()
    assert table["skin_tone"].to_numpy() == pytest.approx(table["skin_tone"].mean(), abs=1.5)


def test_parts_of_a_mask_are_counted_in_the_view(made):
    for row, parts in enumerate((0, 1, 3)):
        mask = np.zeros((48, 48), np.uint8)
        for k in range(parts):
            mask[4 + 12 * k : 8 + 12 * k, 5:9] = 255
        path = made.annotations.images[row].mask_entry("dots")
        Image.fromarray(mask).save(path)
    features = collect_features(made.run, made.annotations)
    assert features.table["dots.count"].iloc[:3].tolist() == [0, 1, 3]
    tested = {(c.feature, c.aspect) for c in measured_columns(features)}
    assert ("dots", "count") in tested
    assert ("lesion", "count") not in tested


def test_counts_that_say_no_more_than_presence_are_not_tested_again(made):
    features = FeatureSet.open(made.run)
    assert features.table["patch.count"].max() == 1
    assert ("patch", "count") not in {(c.feature, c.aspect) for c in measured_columns(features)}


NUCLEI = [name for name, one in COMPUTED_FEATURES.items() if not one.needs_lesion]


@pytest.mark.parametrize("domain", [None, "dermoscopy", "tissue"])
def test_what_needs_no_outline_is_measured_where_the_domain_is_known_to_be_its_own(
    tmp_path, domain
):
    known = read_annotations(synthesize_tissue(tmp_path / "tissue", 4))
    bare = replace(known, images=tuple(replace(one, lesion=None) for one in known.images))
    run = fabricate_run(tmp_path, np.zeros((4, 2)), {}, classes=known.labels)
    files = {f"img_{i:04d}": image for i, image in enumerate(known.images)}
    for name, image in files.items():
        shutil.copy(image.file, tmp_path / "images" / f"{name}.png")
    bare = replace(bare, images=tuple(replace(one, id=name) for name, one in files.items()))
    seen = measure_images(run, bare, domain=domain)
    if domain == "tissue":
        assert set(NUCLEI) <= set(seen.columns)
        assert all(np.isfinite(seen.columns[name]).all() for name in NUCLEI)
    else:
        assert not set(NUCLEI) & {*seen.columns, *seen.facts["of_other_domains"]}
