import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.analysis.annotated import VIEW, disc, plant
from tests.fabricate import fabricate_run
from xattn.annotations import AnnotatedImage, Rle, read_annotations, records, write_annotations
from xattn.errors import AnnotationError, RunError
from xattn.features.feature_set import FeatureSet, collect_features
from xattn.runs import RunFolder


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, 12, groups=np.arange(12) // 2)


def collect(planted, computed=False, **more):
    known = read_annotations(planted.annotations)
    return collect_features(planted.run, known, computed=computed, **more)


def rewrite(planted, change):
    """Change the annotation file as text that was read as JSON."""
    content = json.loads(planted.annotations.read_text())
    change(content)
    planted.annotations.write_text(json.dumps(content))


def test_masks_are_stored_in_the_view_of_the_model(planted):
    features = collect(planted)
    assert features.masked == ["network", "dots", "lesion"]
    for name in ("network", "dots"):
        stored = features.masks(name)[:]
        assert stored.shape == (12, *VIEW)
        assert stored.dtype == bool
        assert stored.mean() == pytest.approx(planted.masks[name].mean(), rel=0.05)
    shown = features.masks("network")[:].any(axis=(1, 2))
    expected = disc(planted.centre, 4, *VIEW) & shown[:, None, None]
    # Sampled from a 48 x 32 image at the view's 32 columns: the outline may differ by a pixel.
    assert (features.masks("network")[:] != expected).mean() < 0.02


def test_the_table_has_value_area_and_whether_a_mask_was_given(planted):
    table = collect(planted).table
    assert table["image_id"].tolist() == [f"img_{i:04d}" for i in range(12)]
    assert table["label"].tolist() == planted.labels.tolist()
    assert table["group"].tolist() == [str(i // 2) for i in range(12)]
    assert table["ruler"].tolist() == planted.values["ruler"].tolist()
    assert table["age"].tolist() == planted.values["age"].tolist()
    assert table["site"].tolist() == planted.values["site"].tolist()
    present = planted.masks["network"].any(axis=(1, 2))
    assert table["network"].tolist() == present.astype(float).tolist()
    assert (table["network.area"] > 0).tolist() == present.tolist()
    assert table["network.masked"].all()
    assert "ruler.masked" not in table


def test_what_was_written_can_be_read_back(planted):
    written = collect(planted)
    read = FeatureSet.open(RunFolder.open(planted.run.path))
    pd.testing.assert_frame_equal(read.table, written.table)
    assert read.kinds == {
        "network": "structure",
        "dots": "structure",
        "ruler": "artifact",
        "age": "metadata",
        "site": "metadata",
        "lesion": "structure",
    }
    assert read.annotated == 12
    assert read.labelled


def test_reading_before_writing_says_what_to_do(planted):
    with pytest.raises(RunError, match="xattn feature-usage"):
        FeatureSet.open(planted.run)


def test_the_store_is_small(planted):
    collect(planted)
    plain = 3 * 12 * VIEW[0] * VIEW[1]
    size = sum(p.stat().st_size for p in (planted.run.path / "masks.zarr").rglob("c/*/*/*"))
    assert 0 < size < plain / 8


def test_threads_change_nothing(planted):
    alone = collect(planted, workers=0)
    table, masks = alone.table, alone.masks("dots")[:]
    many = collect(planted, workers=3)
    pd.testing.assert_frame_equal(many.table, table)
    assert (many.masks("dots")[:] == masks).all()


def test_images_the_annotations_do_not_know_stay_with_nothing_known(planted):
    rewrite(planted, lambda c: c["images"].__delitem__(slice(0, 5)))
    features = collect(planted)
    assert features.annotated == 7
    assert len(features.table) == 12
    assert features.table["ruler"].isna().tolist() == [True] * 5 + [False] * 7
    assert features.table["label"].isna().sum() == 5
    assert not features.masks("dots")[:5].any()


def test_an_unusable_mask_is_a_problem_and_its_image_goes_on(planted):
    bad = planted.annotations.parent / "masks" / "img_0003_dots.png"
    bad.write_bytes(b"not an image")
    square = planted.annotations.parent / "masks" / "img_0004_dots.png"
    Image.new("L", (32, 32)).save(square)
    features = collect(planted)
    assert [f.image_id for f in features.problems] == ["img_0003", "img_0004"]
    assert "dots" in features.problems[0].error
    assert np.isnan(features.table["dots"].iloc[3])
    assert not features.table["dots.masked"].iloc[3]
    assert features.table["ruler"].notna().all()
    errors = planted.run.table("errors")
    assert errors["stage"].tolist() == ["mask", "mask"]
    assert errors["file"].tolist() == ["images/img_0003.png", "images/img_0004.png"]
    collect(planted)
    assert len(planted.run.table("errors")) == 2  # a second call replaces them


def test_a_value_decides_over_the_mask_and_the_mask_where_there_is_no_value(planted):
    def change(content):
        content["images"][0]["values"]["dots"] = 0
        content["images"][1]["values"]["dots"] = 1
        del content["images"][1]["masks"]["dots"]

    rewrite(planted, change)
    table = collect(planted).table
    assert table["dots"].iloc[:3].tolist() == [0, 1, 1]
    assert table["dots.area"].iloc[0] > 0
    assert np.isnan(table["dots.area"].iloc[1])


def test_counts_are_not_filled_in_from_masks(planted):
    def change(content):
        content["images"][0]["values"]["dots"] = 7

    rewrite(planted, change)
    table = collect(planted).table
    assert table["dots"].iloc[0] == 7
    assert table["dots"].iloc[1:].isna().all()


def test_the_label_of_the_run_serves_where_the_annotations_have_none(tmp_path):
    planted = plant(tmp_path, 8, annotate=False)
    assert collect(planted).table["label"].tolist() == planted.labels.tolist()


def test_no_image_in_common_is_an_error_that_shows_one_of_each(planted):
    def change(content):
        for image in content["images"]:
            image["id"] = "other_" + image["id"]

    rewrite(planted, change)
    with pytest.raises(AnnotationError, match=r"img_0000.*other_img_0000"):
        collect(planted)


def test_a_label_that_is_no_class_of_the_run_is_an_error_that_names_the_image(planted):
    def change(content):
        content["labels"].append("naevus")
        content["images"][2]["label"] = "naevus"

    rewrite(planted, change)
    with pytest.raises(AnnotationError, match=r"benign, malignant.*'naevus' of image img_0002"):
        collect(planted)


@pytest.mark.parametrize("name", ["group", "../masks", "a\\b", ".hidden"])
def test_a_feature_may_not_take_the_name_of_a_column_or_of_another_folder(planted, name):
    rewrite(planted, lambda c: c["features"].update({name: {"kind": "artifact"}}))
    with pytest.raises(AnnotationError, match=re.escape(f"features.{name}")):
        collect(planted)


def test_a_failure_in_the_middle_leaves_what_was_there(planted, monkeypatch):
    before = collect(planted).masks("dots")[:]

    def broken(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(planted, progress=broken)
    assert (FeatureSet.open(planted.run).masks("dots")[:] == before).all()
    assert not list(planted.run.path.glob(".*part"))


def test_progress_ends_at_the_number_of_images(planted):
    seen = []
    collect(planted, progress=lambda *steps: seen.append(steps))
    assert seen[-1] == (12, 12)


def test_a_cropping_view_keeps_masks_in_register(tmp_path):
    """Only the middle 32 x 32 of a 48 x 32 image is seen."""
    run = fabricate_run(tmp_path, np.zeros((1, 2)), {"m": np.ones((1, 2, 2))})
    run.settings["preprocessing"] |= {"mode": "crop", "resize": 32}
    mask = np.zeros((32, 48), bool)
    mask[:, :8], mask[4:10, 20:30] = True, True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    image = AnnotatedImage(
        "img_0000", tmp_path / "images/img_0000.png", masks={"dots": tmp_path / "mask.png"}
    )
    path = write_annotations(tmp_path / "a.json", [image], features={"dots": "structure"})
    features = collect_features(run, read_annotations(path))
    expected = np.zeros((32, 32), bool)
    expected[4:10, 12:22] = True
    assert (features.masks("dots")[0] == expected).all()
    assert features.outside == {}


def test_masks_that_the_crop_left_nothing_of_are_counted_and_empty_ones_are_not(
    tmp_path, monkeypatch
):
    run = fabricate_run(tmp_path, np.zeros((2, 2)), {"m": np.ones((2, 2, 2))})
    run.settings["preprocessing"] |= {"mode": "crop", "resize": 32}
    beside, nothing = np.zeros((2, 32, 48), bool)
    beside[:, :8] = True
    images = []
    for i, mask in enumerate((beside, nothing)):
        Image.fromarray(mask).save(tmp_path / f"mask{i}.png")
        name = f"img_000{i}"
        images.append(
            AnnotatedImage(
                name, tmp_path / f"images/{name}.png", masks={"dots": tmp_path / f"mask{i}.png"}
            )
        )
    path = write_annotations(tmp_path / "a.json", images, features={"dots": "structure"})
    annotations, decoded = read_annotations(path), []
    read = records.read_mask
    monkeypatch.setattr(records, "read_mask", lambda file: decoded.append(file.name) or read(file))
    assert collect_features(run, annotations).outside == {"dots": 1}
    assert sorted(decoded) == ["mask0.png", "mask1.png"]  # each once


def test_run_length_masks_are_read(tmp_path):
    run = fabricate_run(tmp_path, np.zeros((1, 2)), {"m": np.ones((1, 2, 2))})
    rle = Rle(size=(32, 48), counts=[32 * 24, 32 * 24])  # column by column: the right half
    image = AnnotatedImage("img_0000", tmp_path / "images/img_0000.png", masks={"dots": rle})
    path = write_annotations(tmp_path / "a.json", [image], features={"dots": "structure"})
    stored = collect_features(run, read_annotations(path)).masks("dots")[0]
    assert stored[:, 16:].all()
    assert not stored[:, :16].any()
