from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xattn.annotations import check_annotations, read_annotations
from xattn.errors import UsageError, XattnError
from xattn.images import read_image, read_mask
from xattn.synthetic import FEATURES, TRAITS, Plan, render, synthesize
from xattn.synthetic.dataset import jpeg
from xattn.synthetic.features import with_features, without_features

SIZE = (64, 80)


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "data"
    assert synthesize(root, 12, size=SIZE, seed=1) == root / "isic_attributes.json"
    return root


def test_the_annotation_file_passes_its_own_check(made):
    path = made / "isic_attributes.json"
    assert check_annotations(path) == []
    annotations = read_annotations(path, strict=True)
    assert annotations.labels == ("benign", "malignant")
    assert len(annotations.images) == 12
    assert {name: f.kind for name, f in annotations.features.items()} == {
        **{name: feature.kind for name, feature in FEATURES.items()},
        **dict.fromkeys([*TRAITS, "sex"], "metadata"),
    }


def test_the_annotation_file_has_the_keys_and_relative_paths_of_the_contract(made):
    content = json.loads((made / "isic_attributes.json").read_text())
    assert set(content) == {"schema", "domain", "labels", "features", "images"}
    assert content["schema"] == "xattn-annotations/1"
    plan = Plan(seed=1)
    for i, image in enumerate(content["images"]):
        spec = plan.draw(i)
        assert image["id"] == spec.id
        assert image["file"] == f"images/{spec.id}.jpg"
        assert image["lesion"] == f"lesion_masks/{spec.id}_segmentation.png"
        assert (image["label"], image["group"]) == (spec.label, spec.group)
        masks = {name: f"masks/{name}/{spec.id}.png" for name in spec.present}
        assert image.get("masks", {}) == masks
        assert set(image["values"]) == {*FEATURES, *TRAITS, "sex"}
        assert {name for name in FEATURES if image["values"][name] == 1} == spec.present


def test_the_files_hold_what_was_rendered(made):
    annotations = read_annotations(made / "isic_attributes.json", strict=True)
    for i, image in enumerate(annotations.images):
        rendered = render(Plan(seed=1).draw(i), SIZE)
        pixels = np.asarray(read_image(image.file).image).astype(float)
        assert np.abs(pixels - rendered.image).mean() < 3  # JPEG
        assert np.array_equal(read_mask(image.lesion), rendered.lesion)
        for name, mask in rendered.masks.items():
            assert np.array_equal(read_mask(image.masks[name]), mask)


@pytest.mark.parametrize("name", FEATURES)
def test_jpeg_spreads_a_feature_within_its_blocks_of_eight_pixels_and_no_further(name, tmp_path):
    spec = Plan(seed=1).draw(3)
    pixels = []
    for chosen in (with_features(spec, name), without_features(spec, name)):
        (tmp_path / "image.jpg").write_bytes(jpeg(render(chosen, SIZE).image))
        pixels.append(np.asarray(read_image(tmp_path / "image.jpg").image))
    mask = render(with_features(spec, name), SIZE).masks[name]
    blocks = mask.reshape(SIZE[0] // 8, 8, SIZE[1] // 8, 8).any(axis=(1, 3))
    touched = blocks.repeat(8, axis=0).repeat(8, axis=1)
    assert np.array_equal(pixels[0][~touched], pixels[1][~touched])
    assert (pixels[0] != pixels[1]).any()


def test_workers_change_no_byte(made, tmp_path):
    synthesize(tmp_path / "data", 12, size=SIZE, seed=1, workers=2)
    assert tree(tmp_path / "data") == tree(made)


def test_fewer_images_are_the_first_of_more(made, tmp_path):
    synthesize(tmp_path / "data", 5, size=SIZE, seed=1)
    few, many = tree(tmp_path / "data"), tree(made)
    image_files = {name for name in few if name.endswith((".jpg", ".png"))}
    assert len([name for name in image_files if name.endswith(".jpg")]) == 5
    assert all(few[name] == many[name] for name in image_files)


def test_another_seed_gives_other_images(made, tmp_path):
    synthesize(tmp_path / "data", 2, size=SIZE, seed=2)
    image = "images/SYN_0000000.jpg"
    assert tree(tmp_path / "data")[image] != tree(made)[image]


def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(made, tmp_path):
    def stop_at_four(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    root = tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        synthesize(root, 12, size=SIZE, seed=1, progress=stop_at_four)
    assert not (root / "isic_attributes.json").exists()
    first = (root / "images" / "SYN_0000000.jpg").stat().st_mtime_ns
    synthesize(root, 12, size=SIZE, seed=1)
    assert tree(root) == tree(made)
    assert (root / "images" / "SYN_0000000.jpg").stat().st_mtime_ns == first


@pytest.mark.parametrize("other", [{"n": 11}, {"seed": 2}, {"effects": {}}, {"size": (64, 64)}])
def test_a_folder_of_other_settings_is_refused_and_left_alone(made, other):
    before = tree(made)
    with pytest.raises(XattnError, match=r"truth\.json has others"):
        synthesize(made, **{"n": 12, "size": SIZE, "seed": 1, **other})
    assert tree(made) == before


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(XattnError, match="holds something else"):
        synthesize(tmp_path, 1)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]


def test_progress_is_told_the_number_of_images_done(tmp_path):
    told: list[int] = []
    synthesize(tmp_path / "data", 3, size=SIZE, progress=told.append)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 0}, "at least 1 image"),
        ({"size": (10, 64)}, "64 x 64"),
        ({"effects": {"rulr": 1}}, "did you mean 'ruler'"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, settings, words):
    with pytest.raises(UsageError, match=words):
        synthesize(tmp_path / "data", **settings)
    assert not (tmp_path / "data").exists()


def test_the_truth_and_the_annotations_tell_the_same(made):
    truth = json.loads((made / "truth.json").read_text())
    images = json.loads((made / "isic_attributes.json").read_text())["images"]
    for name in FEATURES:
        for label, count in truth["variables"][name]["present"].items():
            assert count == sum(i["values"][name] for i in images if i["label"] == label)
