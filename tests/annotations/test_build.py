"""ISIC 2018 as people have it becomes one file, and what was dropped is said."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xattn.annotations import build_annotations, check_annotations, read_annotations
from xattn.annotations.layouts.isic_artifacts import unsquash
from xattn.errors import AnnotationError, UsageError

STRUCTURES = ["pigment_network", "negative_network", "streaks", "milia_like_cyst", "globules"]
OFFICIAL = {
    "images": "ISIC2018_Task1-2_Training_Input",
    "lesion_masks": "ISIC2018_Task1_Training_GroundTruth",
    "attribute_masks": "ISIC2018_Task2_Training_GroundTruth_v3",
}
FLAGS = ";image;dark_corner;hair;gel_border;gel_bubble;ruler;ink;patches;label;label_string"


class Isic:
    """Four images of 32 x 24 pixels in the layout of ISIC 2018, tables and artifact masks."""

    ids = ("ISIC_0000000", "ISIC_0000001", "ISIC_0000002_downsampled", "ISIC_0000003")

    def __init__(self, root: Path) -> None:
        self.root, self.top = root, root.parent
        for n, i in enumerate(self.ids):
            key = i.removesuffix("_downsampled")
            self.save(f"images/{i}.jpg", np.full((24, 32, 3), 60 * n, np.uint8))
            self.save(f"lesion_masks/{key}_segmentation.png", np.ones((24, 32), bool))
            for s, name in enumerate(STRUCTURES):
                mask = np.zeros((24, 32), bool)
                mask[: 6 * (n == s)] = True
                self.save(f"attribute_masks/{key}_attribute_{name}.png", mask)

    def save(self, name: str, pixels: np.ndarray, where: Path | None = None) -> Path:
        path = (where or self.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    def artifact(self, name: str, pixels: np.ndarray) -> Path:
        self.save(name, pixels, self.top / "artifacts")
        return self.top / "artifacts"

    def table(self, name: str, *lines: str) -> Path:
        path = self.top / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def flags(self, **present: str) -> Path:
        """Flags of all four images: 0, or 1 for the columns named for an image's number."""
        columns = FLAGS.split(";")[2:9]
        lines = [FLAGS]
        for n, i in enumerate(self.ids):
            cells = [str(int(c in present.get(f"_{n}", "").split())) for c in columns]
            label = "malignant" if n == 3 else "benign"
            lines.append(";".join([str(n), f"{i}.png", *cells, str(int(n == 3)), label]))
        return self.table("flags.csv", *lines)

    def build(self, **sources):
        return build_annotations("isic2018", self.root, self.top / "out/isic.json", **sources)


@pytest.fixture
def isic(tmp_path) -> Isic:
    return Isic(tmp_path / "isic2018")


def _squashed(mask: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST)
    return np.asarray(image)


class TestFolders:
    def test_masks_structures_and_lesions_are_found(self, isic):
        built = isic.build()
        assert [image.id for image in built.images] == list(isic.ids)
        assert list(built.features) == STRUCTURES
        assert {f.kind for f in built.features.values()} == {"structure"}
        assert all(len(image.masks) == 5 and image.lesion for image in built.images)
        presence = [[built.presence(i, name) for name in STRUCTURES] for i in isic.ids]
        assert np.array_equal(presence, np.eye(5, dtype=bool)[:4])
        assert check_annotations(built.path) == []

    def test_the_official_folder_names_give_the_same_file(self, isic):
        before = isic.build().path.read_text()
        for short, official in OFFICIAL.items():
            (isic.root / short).rename(isic.root / official)
            before = before.replace(f"/{short}/", f"/{official}/")
        assert isic.build().path.read_text() == before

    def test_folders_may_lie_one_level_deeper_as_archives_unpack(self, isic):
        for short, official in OFFICIAL.items():
            (isic.root / official).mkdir()
            (isic.root / short).rename(isic.root / official / official)
        assert len(isic.build().images) == 4

    def test_paths_are_relative_so_that_both_can_be_moved(self, isic, tmp_path):
        path = isic.build().path
        assert json.loads(path.read_text())["images"][0]["file"].startswith("../isic2018/images/")
        moved = tmp_path / "moved"
        moved.mkdir()
        for folder in (isic.root, path.parent):
            folder.rename(moved / folder.name)
        assert len(read_annotations(moved / "out/isic.json", strict=True).images) == 4

    def test_other_files_beside_the_images_are_passed_over(self, isic):
        (isic.root / "images/LICENSE.txt").write_text("CC BY-NC")
        isic.save("images/ISIC_0000000_superpixels.png", np.zeros((24, 32), np.uint8))
        assert len(isic.build().images) == 4

    def test_a_missing_mask_is_left_out_and_told(self, isic):
        (isic.root / "lesion_masks/ISIC_0000001_segmentation.png").unlink()
        (isic.root / "attribute_masks/ISIC_0000001_attribute_streaks.png").unlink()
        built = isic.build()
        assert built.by_id["ISIC_0000001"].lesion is None
        assert "streaks" not in built.by_id["ISIC_0000001"].masks
        assert "lesion: 1 of 4 images have no mask" in built.notes
        assert "streaks: 1 of 4 images have no mask" in built.notes

    def test_a_root_without_images_says_what_was_looked_for(self, isic, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(AnnotationError, match=r"images or ISIC2018_Task1-2_\*_Input under"):
            build_annotations("isic2018", tmp_path / "empty", tmp_path / "x.json")
        assert not (tmp_path / "x.json").exists()

    def test_the_layout_is_known_by_its_attribute_masks(self, isic):
        built = build_annotations(None, isic.root, isic.top / "out/isic.json")
        assert "layout: isic2018, as the folder looks" in built.notes
        assert built.images == isic.build().images

    def test_an_unknown_layout_is_named_with_its_likely_meaning(self, isic):
        with pytest.raises(UsageError, match=r"'isic2081'; did you mean .*'isic2018'"):
            build_annotations("isic2081", isic.root)


class TestTables:
    def test_flags_become_values_and_classes(self, isic):
        built = isic.build(flags=isic.flags(_0="hair ruler", _3="patches"))
        assert built.labels == ("benign", "malignant")
        assert built.by_id["ISIC_0000003"].label == "malignant"
        assert built.presence("ISIC_0000000", "ruler") is True
        assert built.presence("ISIC_0000002_downsampled", "ruler") is False
        assert built.features["patches"].kind == "artifact"

    def test_a_flag_that_is_neither_0_nor_1_is_left_out_and_told(self, isic):
        path = isic.flags()
        path.write_text(path.read_text().replace("0;0;0;0;0;0;0;1", "0;0;0;0;0;2;0;1"))
        built = isic.build(flags=path)
        assert "ink" not in built.by_id["ISIC_0000003"].values
        assert "flags.csv, column of ink: 1 cells could not be read and are left out" in built.notes

    def test_metadata_become_values_and_groups(self, isic):
        path = isic.table(
            "meta.csv",
            "image,age_approx,anatom_site_general,lesion_id,sex",
            "ISIC_0000000,55.0,anterior torso,BCN_1,female",
            "ISIC_0000001,,,,",
            "ISIC_0000002,32.5,NA,BCN_1,unknown",
            "ISIC_9999999,20,head,,male",
        )
        built = isic.build(metadata=path)
        values = [dict(image.values) for image in built.images]
        assert values == [
            {"age": 55, "sex": "female", "site": "anterior torso", "dataset": "BCN20000"},
            {},
            {"age": 32.5, "dataset": "BCN20000"},
            {},
        ]
        assert [image.group for image in built.images] == ["BCN_1", None, "BCN_1", None]
        columns = ("age", "sex", "site", "dataset")
        assert {built.features[n].kind for n in columns} == {"metadata"}

    def test_one_hot_ground_truth_gives_the_classes_that_occur(self, isic):
        path = isic.table(
            "truth.csv",
            "image,MEL,NV,BCC,UNK",
            "ISIC_0000000,0.0,1.0,0.0,0.0",
            "ISIC_0000001,1.0,0.0,0.0,0.0",
            "ISIC_0000002,0.0,0.0,0.0,1.0",
        )
        built = isic.build(flags=isic.flags(), labels=path)
        assert built.labels == ("MEL", "NV")
        assert [image.label for image in built.images] == ["NV", "MEL", None, None]
        assert "labels: 2 of 4 images have none, such as ISIC_0000002_downsampled" in built.notes

    def test_a_column_of_class_names_is_taken_too(self, isic):
        path = isic.table("l.csv", "isic_id,label", "ISIC_0000000,nevus", "ISIC_0000001,melanoma")
        assert isic.build(labels=path).labels == ("melanoma", "nevus")

    def test_without_any_table_there_are_no_classes_and_it_is_told(self, isic):
        built = isic.build()
        assert built.labels == ()
        assert built.notes == (
            "labels: none; give a table of them, or flags with a column label_string",
        )

    def test_a_second_row_of_an_image_is_passed_over_and_told(self, isic):
        path = isic.table("l.csv", "image,label", "ISIC_0000000,a", "ISIC_0000000,b")
        built = isic.build(labels=path)
        assert built.by_id["ISIC_0000000"].label == "a"
        assert "l.csv: 1 rows of an image that had one already; the first is taken" in built.notes

    @pytest.mark.parametrize(
        ("option", "lines", "words"),
        [
            ("flags", ["name;hair", "x;1"], "a column image or image_id"),
            ("flags", ["image;hairs", "ISIC_0000000;1"], "hair, .*but got image, hairs"),
            (
                "flags",
                ["image;hair", "ISIC_7777777;1"],
                "none of them: 'ISIC_0000000' here, 'ISIC_7777777' there",
            ),
            ("flags", [], "an empty file"),
            ("metadata", ["image,diagnosis", "ISIC_0000000,x"], "age_approx, sex, anatom_site"),
            ("labels", ["image,diagnosis", "ISIC_0000000,x"], "label_string or label, or one col"),
        ],
    )
    def test_a_table_of_another_kind_says_what_was_expected(self, isic, option, lines, words):
        with pytest.raises(AnnotationError, match=words):
            isic.build(**{option: isic.table("t.csv", *lines)})

    def test_a_table_that_is_missing_or_no_text_says_so(self, isic, tmp_path):
        with pytest.raises(AnnotationError, match=r"gone\.csv, but got: No such file"):
            isic.build(flags=tmp_path / "gone.csv")
        (tmp_path / "x.csv").write_bytes(b"image,\xff\xfe\n")
        with pytest.raises(
            AnnotationError, match=r"x\.csv, but got none of them: .* 'none at all' there"
        ):
            isic.build(flags=tmp_path / "x.csv")


class TestArtifactMasks:
    def _corner(self) -> np.ndarray:
        mask = np.zeros((24, 32), bool)
        mask[:12, 16:] = True
        return mask

    def test_a_squashed_mask_comes_back_in_register_with_its_image(self, isic):
        folder = isic.artifact("binary/ruler/ISIC_0000000.png", _squashed(self._corner(), 224))
        built = isic.build(artifact_masks=folder)
        assert np.array_equal(built.mask("ISIC_0000000", "ruler"), self._corner())
        assert built.features["ruler"].kind == "artifact"
        assert check_annotations(built.path) == []

    def test_the_folders_go_by_the_names_of_the_flags(self, isic):
        for name in ("band_aid", "ruler", "skin_marker"):
            pixels = _squashed(self._corner(), 24)
            folder = isic.artifact(f"binary/{name}/ISIC_0000002.png", pixels)
        built = isic.build(artifact_masks=folder)
        masks = built.by_id["ISIC_0000002_downsampled"].masks
        assert [name for name in masks if name not in STRUCTURES] == ["patches", "ruler", "ink"]

    def test_a_mask_of_the_images_own_shape_stays_a_file(self, isic):
        folder = isic.artifact("binary/ruler/ISIC_0000000.png", self._corner())
        mask = isic.build(artifact_masks=folder).by_id["ISIC_0000000"].masks["ruler"]
        assert mask.name == "ISIC_0000000.png"

    def test_a_hand_drawn_mask_of_any_colour_replaces_the_model_made_one(self, isic):
        drawn = np.zeros((512, 512, 3), np.uint8)
        drawn[_squashed(self._corner(), 512)] = (31, 120, 180)
        isic.artifact("binary/band_aid/ISIC_0000000.png", _squashed(~self._corner(), 224))
        folder = isic.artifact("bandaid_manual_r2r/ISIC_0000000_downsampled.png", drawn)
        built = isic.build(artifact_masks=folder)
        assert np.array_equal(built.mask("ISIC_0000000", "patches"), self._corner())

    def test_a_mask_is_dropped_where_a_human_saw_nothing(self, isic):
        for n in (0, 1):
            pixels = _squashed(self._corner(), 224)
            folder = isic.artifact(f"binary/ruler/ISIC_000000{n}.png", pixels)
        built = isic.build(artifact_masks=folder, flags=isic.flags(_1="ruler"))
        assert "ruler" not in built.by_id["ISIC_0000000"].masks
        assert built.presence("ISIC_0000000", "ruler") is False
        assert "ruler" in built.by_id["ISIC_0000001"].masks
        assert "ruler: masks dropped because a human flag says absent: 1" in built.notes

    @pytest.mark.parametrize(
        ("pixels", "reason"),
        [
            (np.zeros((224, 224), bool), "they are empty"),
            (np.ones((10, 99), bool), "their shape is neither the image's nor a square"),
        ],
    )
    def test_a_mask_that_cannot_be_used_is_dropped_and_told(self, isic, pixels, reason):
        folder = isic.artifact("binary/ruler/ISIC_0000000.png", pixels)
        built = isic.build(artifact_masks=folder)
        assert "ruler" not in built.by_id["ISIC_0000000"].masks
        assert f"ruler: masks dropped because {reason}: 1" in built.notes

    def test_a_damaged_mask_is_dropped_and_told(self, isic):
        folder = isic.artifact("binary/ruler/ISIC_0000000.png", self._corner())
        (folder / "binary/ruler/ISIC_0000000.png").write_bytes(b"")
        built = isic.build(artifact_masks=folder)
        assert "ruler: masks dropped because a file cannot be read: 1" in built.notes

    def test_masks_of_other_images_are_passed_over(self, isic):
        folder = isic.artifact("binary/ruler/ISIC_7777777.png", self._corner())
        assert "ruler" not in isic.build(artifact_masks=folder).features

    def test_a_folder_without_any_says_what_was_looked_for(self, isic, tmp_path):
        with pytest.raises(AnnotationError, match="binary/band_aid, binary/ruler"):
            isic.build(artifact_masks=tmp_path)

    @pytest.mark.parametrize("size", [(32, 24), (640, 480), (6000, 4000), (101, 999)])
    def test_unsquashing_loses_no_row_or_column_of_a_small_mask(self, size):
        checker = np.indices((64, 64)).sum(0) % 2 == 1
        got = unsquash(checker, size)
        assert abs(got.shape[1] / got.shape[0] - size[0] / size[1]) < 0.1 * size[0] / size[1]
        if min(size) >= 64:
            assert min(got.shape) >= 64
            back = _squashed(got, 64)
            assert np.array_equal(back, checker) or max(got.shape) > 64


class TestSummary:
    def test_presence_is_counted_per_label(self, isic):
        built = isic.build(flags=isic.flags(_0="hair", _3="hair"))
        hair = {f.name: f for f in built.summary.features}["hair"]
        assert (hair.masks, hair.values) == (0, 4)
        assert hair.present == {"benign": 1, "malignant": 1}
        assert hair.known == {"benign": 3, "malignant": 1}
        assert built.summary.labels == {"benign": 3, "malignant": 1}

    def test_it_prints_as_a_table_with_the_notes_below(self, isic):
        lines = str(isic.build(flags=isic.flags(_0="hair"))).splitlines()
        assert lines[0].endswith("isic.json: 4 images: 3 benign, 1 malignant")
        row = next(line for line in lines if line.startswith("hair"))
        assert row.split() == ["hair", "artifact", "0", "4", "1/4", "1/3", "0/1"]
        assert str(isic.build()).splitlines()[-1].startswith("note: labels: none")

    def test_it_is_plain_json(self, isic):
        assert json.loads(json.dumps(isic.build().summary.to_dict()))["images"] == 4

    def test_a_mask_that_cannot_be_decoded_is_counted(self, isic):
        (isic.root / "attribute_masks/ISIC_0000000_attribute_streaks.png").write_bytes(b"")
        built = isic.build()
        assert built.summary.unreadable == 1
        assert "1 masks could not be read, such as " in str(built)


DATA = Path("../shared/data")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_annotations(
        "isic2018",
        DATA / "isic2018",
        tmp_path_factory.mktemp("real") / "isic_attributes.json",
        artifact_masks=DATA / "isic_artifact_masks",
        flags=DATA / "isic2018/artifact_flags.csv",
        metadata=DATA / "isic2018/ISIC_2019_Training_Metadata.csv",
    )


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the real images at ../shared/data are not here")
class TestRealData:
    def test_counts_are_those_of_its_description(self, built):
        summary = built.summary
        assert summary.labels == {"benign": 2075, "malignant": 519}
        assert summary.lesions == 2594
        present = {f.name: f.present for f in summary.features}
        totals = {name: sum(present[name].values()) for name in STRUCTURES}
        assert totals == {
            "pigment_network": 1523,
            "negative_network": 190,
            "streaks": 100,
            "milia_like_cyst": 682,
            "globules": 603,
        }
        artifacts = ["patches", "ruler", "ink", "hair", "dark_corner", "gel_border", "gel_bubble"]
        assert [tuple(present[name].values()) for name in artifacts] == [
            (185, 2),
            (975, 309),
            (379, 63),
            (1254, 264),
            (726, 234),
            (590, 89),
            (1010, 257),
        ]
        ages = next(f for f in summary.features if f.name == "age")
        assert ages.values == 2594 - 295
        assert Counter(image.values.get("dataset") for image in built.images) == {
            None: 1886,
            "MSK": 708,
        }

    def test_artifact_masks_are_kept_where_a_human_agrees(self, built):
        masks = {f.name: f.masks for f in built.summary.features}
        assert (masks["patches"], masks["ruler"], masks["ink"]) == (175, 668, 126)
        dropped = [n for n in built.notes if n.endswith("a human flag says absent: 1")]
        assert len(dropped) == 3

    def test_a_hand_drawn_patch_lies_on_the_colourful_part_of_its_image(self, built):
        mask = built.mask("ISIC_0000999", "patches")
        with Image.open(built.by_id["ISIC_0000999"].file) as image:
            saturation = np.asarray(image.convert("HSV"))[..., 1]
        assert mask.shape == saturation.shape
        assert saturation[mask].mean() > 2 * saturation[~mask].mean()

    def test_check_finds_no_problem(self, built):
        assert check_annotations(built.path) == []

    def test_reading_it_takes_well_under_two_seconds(self, built):
        begin = time.process_time()
        read_annotations(built.path, strict=True)
        assert time.process_time() - begin < 2
