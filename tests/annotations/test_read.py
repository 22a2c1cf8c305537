"""Good images go on, each problem is told once, in one line that names image and key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from xattn.annotations import Problem, read_annotations, write_annotations
from xattn.annotations.summary import summarise
from xattn.errors import AnnotationError

CONTRACT = """
{"schema": "xattn-annotations/1", "labels": ["benign", "malignant"],
 "features": {"pigment_network": {"kind": "structure"}, "patches": {"kind": "artifact"}, "age": {"kind": "metadata"}},
 "images": [{"id": "ISIC_0000000", "file": "images/ISIC_0000000.jpg", "label": "benign", "group": "IL_123",
             "lesion": "lesion_masks/ISIC_0000000_segmentation.png",
             "masks": {"pigment_network": "attribute_masks/ISIC_0000000_attribute_pigment_network.png"},
             "values": {"age": 55, "sex": "female", "patches": 0}}]}
"""  # noqa: E501 -- as it stands in the contract


class TestGoodFiles:
    def test_everything_in_it_is_read(self, folder):
        annotations = folder.read(strict=True)
        assert annotations.labels == ("benign", "malignant")
        assert {k: f.kind for k, f in annotations.features.items()} == {
            "pigment_network": "structure",
            "patches": "artifact",
            "age": "metadata",
            "sex": "metadata",
        }
        image = annotations.by_id["b"]
        assert image.file == folder.root / "images/b.png"
        assert (image.label, image.group) == ("malignant", "g1")
        assert image.lesion == folder.root / "masks/b_lesion.png"
        assert image.masks["patches"].size == (2, 3)
        assert image.values == {"age": 55, "sex": "female", "patches": 0}
        assert annotations.problems == ()

    def test_the_example_of_the_contract_is_read(self, tmp_path):
        content = json.loads(CONTRACT)
        entry = content["images"][0]
        for name in [entry["file"], entry["lesion"], *entry["masks"].values()]:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "isic_attributes.json").write_text(CONTRACT, encoding="utf-8")
        annotations = read_annotations(tmp_path / "isic_attributes.json", strict=True)
        assert annotations.images[0].values == {"age": 55, "sex": "female", "patches": 0}
        assert annotations.features["sex"].kind == "metadata"

    def test_only_id_and_file_are_needed(self, folder):
        folder.content = {"images": [{"id": "a", "file": "images/a.png"}]}
        annotations = folder.read(strict=True)
        assert annotations.by_id["a"].label is None
        assert annotations.labels == ()

    def test_null_means_not_known(self, folder):
        for key in ("label", "group", "lesion"):
            folder.change("images", 0, key, to=None)
        folder.change("images", 0, "masks", "patches", to=None)
        folder.change("images", 0, "values", "age", to=None)
        image = folder.read(strict=True).by_id["a"]
        assert (image.label, image.group, image.lesion) == (None, None, None)
        assert list(image.masks) == ["pigment_network"]
        assert list(image.values) == ["sex", "patches"]

    def test_a_byte_order_mark_is_passed_over(self, folder):
        path = folder.write()
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert len(read_annotations(path).images) == 3

    def test_absolute_paths_are_taken_as_they_are(self, folder, tmp_path):
        path = str(folder.save("elsewhere/x.png", np.zeros((20, 30), np.uint8)))
        image = folder.change("images", 0, "file", to=path).read(strict=True).by_id["a"]
        assert str(image.file) == path


class TestFileProblems:
    """The file as a whole is of no use: an error, whether strict or not."""

    @pytest.mark.parametrize(
        ("keys", "wrong", "right", "words"),
        [
            (("schema",), "coco", "xattn-annotations/1", "schema: Expected 'xattn-annotations/1'"),
            (("schema",), "xattn-annotations/2", ..., "but got 'xattn-annotations/2'"),
            (("imags",), [], ..., "Unknown key 'imags'; did you mean 'images'"),
            (("labels",), "benign", ["benign", "malignant"], r"labels: Expected a list"),
            (("labels", 0), 0, "benign", r"labels\[0\]: Expected a text, but got 0"),
            (("labels", 1), "benign", "malignant", r"labels\[1\]: Expected every label once"),
            (("labels", 1), "", "malignant", "a text that is not empty"),
            (("features", "age", "kind"), "number", "metadata", "features.age.kind: Expected 'str"),
            (("features", "age", "unit"), "years", ..., "features.age.unit: Unknown key 'unit'"),
            (("features", "age"), {}, {"kind": "metadata"}, "features.age.kind: Expected this key"),
            (("features", "lesion"), {"kind": "structure"}, ..., "Expected another name"),
            (("images",), [], [{"id": "a", "file": "images/a.png"}], "at least one image"),
            (("images",), {}, [{"id": "a", "file": "images/a.png"}], "images: Expected a list"),
        ],
    )
    def test_it_is_named_in_one_line_and_its_neighbour_is_read(
        self, folder, keys, wrong, right, words
    ):
        folder.change(*keys, to=wrong)
        with pytest.raises(AnnotationError, match=words) as caught:
            folder.read()
        assert "\n" not in str(caught.value)
        assert str(folder.path) in str(caught.value)
        assert [f.image for f in folder.check()] == [None]
        assert folder.change(*keys, to=right).read(strict=True).images

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "Expected JSON"),
            ('{"images": [', "Expected JSON, but got: Expecting value: line 1"),
            ("[]", "Expected an object"),
            ("[" * 100_000, "Expected JSON"),
        ],
    )
    def test_a_file_that_is_no_json_object(self, tmp_path, text, words):
        path = tmp_path / "file.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(AnnotationError, match=words):
            read_annotations(path)

    def test_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / "file.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(AnnotationError, match="Expected JSON"):
            read_annotations(tmp_path / "file.json")

    def test_no_file_at_all(self, tmp_path):
        with pytest.raises(AnnotationError, match=r"gone\.json: .*nothing there"):
            read_annotations(tmp_path / "gone.json")
        with pytest.raises(AnnotationError, match="directory"):
            read_annotations(tmp_path)


class TestImageProblems:
    """One image is of no use: it is left out, the others go on."""

    @pytest.mark.parametrize(
        ("keys", "wrong", "right", "problem"),
        [
            (("lable",), "benign", ..., "key lable: Unknown key 'lable'; did you mean 'label'?"),
            (("file",), "images/x.png", "images/b.png", "key file: Expected a file at "),
            (("file",), 3, "images/b.png", "key file: Expected a text, but got 3"),
            (("file",), ..., "images/b.png", "key file: Expected this key"),
            (("label",), "beningn", "benign", "key label: Expected one of the file's labels"),
            (
                ("label",),
                1,
                "malignant",
                "key label: Expected a class, or a list of findings [...], but got 1",
            ),
            (("group",), 17, "17", "key group: Expected a text, but got 17"),
            (("lesion",), "masks/x.png", None, "key lesion: Expected a file at "),
            (("lesion",), "images", None, "key lesion: Expected a file at "),
            (("masks",), [], {}, "key masks: Expected an object"),
            (("masks", "patches"), 5, None, "key masks.patches: Expected the path of a file, or"),
            (("masks", "patches"), "x.png", None, "key masks.patches: Expected a file at "),
            (
                ("masks", "pigment_netwrk"),
                "masks/b_lesion.png",
                ...,
                "key masks.pigment_netwrk: Expected a feature that the file's `features` declare, "
                "but got 'pigment_netwrk'; did you mean 'pigment_network'?",
            ),
            (("masks", "age"), "masks/b_lesion.png", ..., "key masks.age: Expected masks of struc"),
            (
                ("masks", "patches", "counts"),
                [1, 2, 2],
                [1, 2, 3],
                "key masks.patches: Expected run lengths that fill 2 x 3 = 6 pixels, but got 5",
            ),
            (("masks", "patches", "counts"), "zz", "123", "key masks.patches: Expected"),
            (("masks", "patches", "counts"), 6, [6], "key masks.patches.counts: Expected a list"),
            (("masks", "patches", "counts"), [6.0], [6], "key masks.patches.counts: Expected a l"),
            (("masks", "patches", "size"), [2], [2, 3], "key masks.patches.size[1]: Expected this"),
            (("masks", "patches", "size"), [0, 3], [2, 3], "key masks.patches.size[0]: Expected"),
            (("masks", "patches", "size"), [2, "3"], [2, 3], "key masks.patches.size[1]: Expected"),
            (
                ("masks", "patches"),
                {"size": [90_000, 90_000], "counts": [8_100_000_000]},
                {"size": [90, 90], "counts": [8_100]},
                "key masks.patches: Expected at most 178,956,970 pixels, but got 90000 x 90000",
            ),
            (("masks", "patches", "order"), "F", ..., "key masks.patches.order: Unknown key"),
            (("lesion",), {"size": [1, 1]}, None, "key lesion.counts: Expected this key"),
            (("values", "age"), "55", 55, "key values.age: Expected a number as elsewhere"),
            (("values", "sex"), 1, "male", "key values.sex: Expected a text as elsewhere"),
            (("values", "age"), [55], 55, "key values.age: Expected a finite number, a text"),
            (("values", "age"), float("nan"), 55.5, "key values.age: Expected a finite number"),
            (("values", "patches"), "yes", True, "key values.patches: Expected 0 (absent)"),
            (("values", "patches"), -1, 1, "key values.patches: Expected 0 (absent)"),
            (
                ("values", "patchs"),
                1,
                ...,
                "key values.patchs: Expected a feature that the file's `features` declare, "
                "but got 'patchs'; did you mean 'patches'?",
            ),
        ],
    )
    def test_it_names_image_and_key_and_its_neighbour_is_read(
        self, folder, keys, wrong, right, problem
    ):
        folder.change("images", 1, *keys, to=wrong)
        told: list[Problem] = []
        annotations = folder.read(on_problem=told.append)
        assert [image.id for image in annotations.images] == ["a", "c"]
        assert tuple(told) == annotations.problems
        assert len(told) == 1
        assert str(told[0]).startswith(f"image b, {problem}")
        assert "\n" not in str(told[0])
        with pytest.raises(AnnotationError, match=re.escape(str(told[0]))):
            folder.read(strict=True)
        assert folder.check() == told
        folder.change("images", 1, *keys, to=right)
        assert len(folder.read(strict=True).images) == 3

    def test_an_id_that_was_there_before_leaves_out_the_later_images(self, folder):
        annotations = (
            folder.change("images", 1, "id", to="a").change("images", 2, "id", to="a").read()
        )
        assert [image.file.name for image in annotations.images] == ["a.png"]
        words = "image a, key id: Expected every id once, but images[0] has it"
        assert [str(f) for f in annotations.problems] == [words, words]

    @pytest.mark.parametrize("entry", ["a.png", None, 3, []])
    def test_an_image_that_is_no_object_is_named_by_its_place(self, folder, entry):
        annotations = folder.change("images", 1, to=entry).read()
        assert len(annotations.images) == 2
        assert str(annotations.problems[0]).startswith("image images[1]: Expected an object")

    def test_an_image_without_id_is_named_by_its_place(self, folder):
        (problem,) = folder.change("images", 1, "id", to=...).read().problems
        assert str(problem) == "image images[1], key id: Expected this key, but it is missing"

    def test_labels_that_were_never_declared_say_so(self, folder):
        folder.change("labels", to=...)
        with pytest.raises(AnnotationError, match="the file has no `labels`"):
            folder.read()

    def test_masks_need_declared_features_since_their_kind_cannot_be_guessed(self, folder):
        folder.change("features", to=...)
        with pytest.raises(AnnotationError, match="the file has no `features`"):
            folder.read()

    def test_a_value_of_a_new_name_is_metadata(self, folder):
        for i in range(3):
            folder.change("images", i, "values", "camera", to="dermoscope 2")
        assert folder.read(strict=True).features["camera"].kind == "metadata"

    def test_a_new_name_on_an_image_that_is_left_out_declares_nothing(self, folder):
        folder.change("images", 1, "values", "camera", to="x").change("images", 1, "label", to="x")
        assert "camera" not in folder.read().features

    def test_every_problem_of_an_image_is_told(self, folder):
        folder.change("images", 1, "label", to="x").change("images", 1, "lesion", to="gone.png")
        assert [f.key for f in folder.read().problems] == ["label", "lesion"]

    def test_nothing_is_told_of_good_images(self, folder):
        told: list[Problem] = []
        folder.read(on_problem=told.append)
        assert told == []

    def test_if_no_image_is_left_it_is_an_error(self, folder):
        for i in range(3):
            folder.change("images", i, "label", to="x")
        with pytest.raises(AnnotationError, match=r"3 in .*file\.json") as caught:
            folder.read()
        assert len(str(caught.value).splitlines()) == 4

    def test_at_most_twenty_problems_are_shown_and_the_rest_counted(self, folder):
        entry = {"id": "x", "file": "gone.png"}
        folder.change("images", to=[entry | {"id": f"x{i}"} for i in range(25)])
        with pytest.raises(AnnotationError) as caught:
            folder.read(strict=True)
        lines = str(caught.value).splitlines()
        assert len(lines) == 1 + 20 + 1
        assert "but got 25 in" in lines[0]
        assert lines[-1].strip() == "... and 5 more"


def test_a_file_of_the_size_of_isic_2018_is_read_in_well_under_two_seconds(folder):
    masks = {"pigment_network": "masks/a_network.png", "patches": "masks/a_network.png"}
    entry = folder.content["images"][0] | {"masks": masks}
    folder.change("images", to=[entry | {"id": f"ISIC_{i:07d}"} for i in range(2594)])
    path = folder.write()
    begin = time.process_time()
    assert len(read_annotations(path, strict=True).images) == 2594
    assert time.process_time() - begin < 2


def test_annotations_need_neither_torch_nor_pandas():
    heavy = "{'torch', 'pandas', 'matplotlib', 'cv2', 'pycocotools'}"
    code = f"import sys, xattn.annotations; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestFindings:
    """Where several can be true of one image its label is a list."""

    @pytest.fixture
    def findings(self, folder):
        folder.content["labels"] = ["effusion", "mass", "edema"]
        for i, label in enumerate((["effusion", "mass"], [], ["mass"])):
            folder.change("images", i, "label", to=label)
        return folder.change("images", 2, "unknown", to=["edema"])

    def test_what_a_list_does_not_name_is_not_there_unless_it_is_unknown(self, findings):
        first, second, third = findings.read(strict=True).images
        assert [first.shows(name) for name in ("effusion", "mass", "edema")] == [True, True, False]
        assert second.shows("mass") is False
        assert (third.shows("mass"), third.shows("edema")) == (True, None)
        assert {first.label, second.label, third.label} == {None}

    def test_a_label_is_the_one_finding_of_its_image(self, folder):
        image = folder.read(strict=True).by_id["b"]
        assert (image.shows("malignant"), image.shows("benign")) == (True, False)
        assert (
            folder.change("images", 1, "label", to=None).read().by_id["b"].shows("benign") is None
        )

    @pytest.mark.parametrize(
        ("key", "value", "says"),
        [
            ("label", ["mas"], "Expected one of the file's labels, but got 'mas'; did you mean 'm"),
            ("label", ["mass", "mass"], "Expected every finding once, but got ['mass', 'mass']"),
            ("label", ["mass", 3], "Expected a class, or a list of findings [...], but got"),
            ("label", {"mass": 1}, "Expected a class, or a list of findings [...], but got"),
            ("unknown", ["mass"], "Expected findings that the label does not name, but got 'mass'"),
            ("unknown", ["oedema"], "Expected one of the file's labels, but got 'oedema'"),
        ],
    )
    def test_what_is_wrong_with_a_list_is_one_line(self, findings, key, value, says):
        (problem,) = findings.change("images", 2, key, to=value).read().problems
        assert problem.key.startswith(key)
        assert says in problem.message

    def test_a_list_is_written_and_read_back_the_same(self, findings):
        before = findings.read(strict=True)
        path = write_annotations(
            findings.root / "again.json",
            before.images,
            labels=before.labels,
            features=before.features,
        )
        assert read_annotations(path).images == before.images

    def test_they_are_counted_and_an_image_of_two_once(self, findings):
        counted = summarise(findings.read(strict=True))
        assert counted.labels == {"effusion": 1, "mass": 2, "no finding": 1}
        assert (counted.listed, counted.unknown) == (3, {"edema": 1})
        patches = next(f for f in counted.features if f.name == "patches")
        assert (patches.decided, patches.shown) == (3, 0)
        assert "not known: 1 edema" in str(counted)
