"""What is written is read back the same, a line an image, and never half."""

from __future__ import annotations

import filecmp
import json
import os

import numpy as np
import pytest

from xattn.annotations import AnnotatedImage, Feature, Rle, read_annotations, write_annotations
from xattn.annotations import rle as run_lengths
from xattn.errors import AnnotationError


def _rewrite(annotations, path):
    return write_annotations(
        path, annotations.images, labels=annotations.labels, features=annotations.features
    )


def test_what_is_written_comes_back_the_same(folder):
    before = folder.read(strict=True)
    after = read_annotations(_rewrite(before, folder.root / "again.json"), strict=True)
    assert after.images == before.images
    assert (after.labels, after.features) == (before.labels, before.features)


def test_the_same_content_gives_the_same_bytes(folder):
    first = _rewrite(folder.read(), folder.root / "1.json")
    second = _rewrite(read_annotations(first), folder.root / "2.json")
    assert filecmp.cmp(first, second, shallow=False)


def test_each_image_has_a_line_of_its_own(folder):
    text = _rewrite(folder.read(), folder.root / "again.json").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if '"id"' in line]
    entries = [json.loads(line.removesuffix("]}").removesuffix(",")) for line in lines]
    assert [entry["id"] for entry in entries] == ["a", "b", "c"]


def test_what_is_not_known_is_not_written(folder):
    image = AnnotatedImage("x", folder.root / "images/a.png")
    path = write_annotations(folder.root / "x.json", [image])
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["images"] == [{"id": "x", "file": "images/a.png"}]
    assert (content["labels"], content["features"]) == ([], {})


def test_a_value_of_zero_or_false_is_written(folder):
    image = AnnotatedImage("x", folder.root / "images/a.png", values={"a": 0, "b": False})
    path = write_annotations(folder.root / "x.json", [image])
    assert read_annotations(path).images[0].values == {"a": 0, "b": False}


def test_features_are_given_by_kind_or_as_features(folder):
    image = AnnotatedImage("x", folder.root / "images/a.png")
    features = {"age": "metadata", "ruler": Feature(kind="artifact")}
    path = write_annotations(folder.root / "x.json", [image], features=features)
    kinds = {name: feature.kind for name, feature in read_annotations(path).features.items()}
    assert kinds == {"age": "metadata", "ruler": "artifact"}


def test_paths_are_relative_to_the_file_wherever_it_and_the_caller_are(folder, monkeypatch):
    annotations = folder.read()
    monkeypatch.chdir(folder.root / "images")
    path = _rewrite(annotations, "../../other/deep/file.json")
    assert json.loads(path.read_text())["images"][0]["file"] == "../../data/images/a.png"
    monkeypatch.chdir(folder.root)
    again = read_annotations(folder.root.parent / "other/deep/file.json", strict=True)
    assert os.path.samefile(again.by_id["a"].file, folder.root / "images/a.png")


def test_a_folder_that_is_a_link_does_not_lead_astray(folder, tmp_path):
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    path = _rewrite(folder.read(), tmp_path / "link" / "file.json")
    assert len(read_annotations(path, strict=True).images) == 3


def test_names_beyond_ascii_are_kept_readable(folder):
    image = AnnotatedImage("Muttermal_ß", folder.root / "images/a.png", group="Jena")
    path = write_annotations(folder.root / "x.json", [image])
    assert "Muttermal_ß" in path.read_text(encoding="utf-8")
    assert read_annotations(path).images[0].id == "Muttermal_ß"


def test_numbers_of_numpy_are_written_as_numbers(folder):
    values = {"a": np.float64(0.5), "b": np.int32(3), "c": np.bool_(True)}
    image = AnnotatedImage("x", folder.root / "images/a.png", values=values)
    path = write_annotations(folder.root / "x.json", [image])
    assert read_annotations(path).images[0].values == {"a": 0.5, "b": 3, "c": True}


def test_run_lengths_are_written_into_the_file(folder):
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    image = AnnotatedImage(
        "x", folder.root / "images/a.png", masks={"hair": Rle(**run_lengths.encode(mask))}
    )
    path = write_annotations(folder.root / "x.json", [image], features={"hair": "artifact"})
    assert np.array_equal(read_annotations(path).mask("x", "hair"), mask)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_value_json_cannot_hold_leaves_the_old_file_alone(folder, value):
    path = _rewrite(folder.read(), folder.root / "again.json")
    before = path.read_bytes()
    image = AnnotatedImage("x", folder.root / "images/a.png", values={"age": value})
    with pytest.raises(AnnotationError, match="image x: Expected values that JSON can hold"):
        write_annotations(path, [image])
    assert path.read_bytes() == before
    assert not list(folder.root.glob(".*"))
