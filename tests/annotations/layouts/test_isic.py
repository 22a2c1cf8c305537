"""Every year of ISIC, and HAM10000, as its tables describe it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.downloads import image, isic_images, table
from xattn.annotations import LAYOUTS, Columns, build_annotations, check_annotations
from xattn.annotations.layouts.releases import RELEASES
from xattn.errors import AnnotationError, UsageError

IDS = [f"ISIC_000000{i}" for i in range(5)]


def isic2016(root: Path) -> None:
    isic_images(root, IDS[:3])
    truth = [f"{i},{c}" for i, c in zip(IDS, ["benign", "malignant", "benign"], strict=False)]
    table(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", *truth)


def isic2017(root: Path) -> None:
    isic_images(root, IDS[:4])
    image(root / "Input" / "ISIC_0000000_superpixels.png")
    table(
        root / "ISIC-2017_Training_Part3_GroundTruth.csv",
        "image_id,melanoma,seborrheic_keratosis",
        *(f"{i},{cells}" for i, cells in zip(IDS, ["0.0,0.0", "1.0,0.0", "0.0,1.0", ","],
                                             strict=False)),
    )  # fmt: skip
    table(
        root / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex",
        "ISIC_0000000,55,female",
        "ISIC_0000001,unknown,unknown",
        "ISIC_0000002,30,male",
    )


def isic2018_task3(root: Path) -> None:
    isic_images(root, IDS[:3], "ISIC2018_Task3_Training_Input")
    table(
        root / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC",
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000001,1.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000002,0.0,0.0,0.0,0.0,0.0,0.0,1.0",
    )
    table(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        "ISIC_0000000,HAM_1,histopathology",
        "ISIC_0000001,HAM_2,follow up",
        "ISIC_0000002,HAM_1,histopathology",
    )


def isic2019(root: Path) -> None:
    isic_images(root, [*IDS[:3], "ISIC_0000003_downsampled"])
    table(
        root / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000001,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000002,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0",
        "ISIC_0000003_downsampled,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0",
        "ISIC_9999999,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0",
    )
    table(
        root / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "ISIC_0000000,55.0,anterior torso,HAM_0000118,female",
        "ISIC_0000001,,,,",
        "ISIC_0000002,30,head/neck,BCN_0000002,male",
        "ISIC_0000003_downsampled,40,,MSK4_0011169,male",
    )


def isic2020(root: Path) -> None:
    isic_images(root, IDS)
    table(
        root / "ISIC_2020_Training_GroundTruth.csv",
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target",
        "ISIC_0000000,IP_1,male,45.0,head/neck,unknown,benign,0",
        "ISIC_0000001,IP_1,male,45.0,torso,melanoma,malignant,1",
        "ISIC_0000002,IP_2,female,50.0,,nevus,benign,0",
        "ISIC_0000003,IP_3,female,50.0,torso,unknown,benign,0",
        "ISIC_0000004,IP_4,,,torso,unknown,benign,0",
    )
    table(
        root / "ISIC_2020_Training_Duplicates.csv",
        "image_name_1,image_name_2",
        "ISIC_0000002,ISIC_0000003",
        "ISIC_0000004,ISIC_7777777",
    )


def ham10000(root: Path) -> None:
    isic_images(root, IDS[:2], "HAM10000_images_part_1")
    isic_images(root, IDS[2:4], "HAM10000_images_part_2")
    table(
        root / "HAM10000_metadata",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
        "HAM_1,ISIC_0000000,bkl,histo,80.0,male,scalp,vidir_modern",
        "HAM_1,ISIC_0000001,bkl,histo,80.0,male,scalp,vidir_modern",
        "HAM_2,ISIC_0000002,mel,histo,,unknown,unknown,rosendahl",
        "HAM_3,ISIC_0000003,nv,consensus,0,female,ear,rosendahl",
    )


WRITE = {
    "isic2016": isic2016,
    "isic2017": isic2017,
    "isic2018_task3": isic2018_task3,
    "isic2019": isic2019,
    "isic2020": isic2020,
    "ham10000": ham10000,
}
LABELS = {
    "isic2016": ["benign", "malignant", "benign"],
    "isic2017": ["nevus", "melanoma", "seborrheic_keratosis", None],
    "isic2018_task3": ["NV", "MEL", "VASC"],
    "isic2019": ["NV", "MEL", None, "SCC"],
    "isic2020": ["benign", "malignant", "benign", "benign", "benign"],
    "ham10000": ["bkl", "bkl", "mel", "nv"],
}
CLASSES = {
    "isic2016": ("benign", "malignant"),
    "isic2017": ("melanoma", "seborrheic_keratosis", "nevus"),
    "isic2018_task3": ("MEL", "NV", "VASC"),
    "isic2019": ("MEL", "NV", "SCC"),
    "isic2020": ("benign", "malignant"),
    "ham10000": ("bkl", "mel", "nv"),
}
GROUPS = {
    "isic2016": [None] * 3,
    "isic2017": [None] * 4,
    "isic2018_task3": ["HAM_1", "HAM_2", "HAM_1"],
    "isic2019": ["HAM_0000118", None, "BCN_0000002", "MSK4_0011169"],
    "isic2020": ["IP_1", "IP_1", "IP_2", "IP_2", "IP_4"],
    "ham10000": ["HAM_1", "HAM_1", "HAM_2", "HAM_3"],
}
FIRST = {
    "isic2016": {},
    "isic2017": {"age": 55, "sex": "female"},
    "isic2018_task3": {"diagnosis_confirm_type": "histopathology"},
    "isic2019": {"age": 55, "sex": "female", "site": "anterior torso", "dataset": "HAM10000"},
    "isic2020": {"age": 45, "sex": "male", "site": "head/neck"},
    "ham10000": {
        "age": 80, "sex": "male", "site": "scalp", "dx_type": "histo", "dataset": "vidir_modern",
    },
}  # fmt: skip


@pytest.fixture(params=WRITE)
def release(request, tmp_path: Path) -> tuple[str, Path]:
    WRITE[request.param](tmp_path / "data")
    return request.param, tmp_path / "data"


def build(release: str, root: Path, layout: str | None = None, **options):
    WRITE[release](root / "data")
    return build_annotations(layout, root / "data", root / "out" / "a.json", **options)


def test_every_release_has_a_miniature():
    assert {release.name for release in RELEASES} == set(WRITE)
    assert set(WRITE) < set(LAYOUTS)


def test_a_release_is_known_by_its_tables(release):
    name, root = release
    built = build_annotations(None, root, root.parent / "a.json")
    assert f"layout: {name}, as the folder looks" in built.notes


def test_labels_groups_and_values_are_those_of_the_tables(release):
    name, root = release
    built = build_annotations(name, root, root.parent / "a.json")
    assert built.labels == CLASSES[name]
    assert [image.label for image in built.images] == LABELS[name]
    assert [image.group for image in built.images] == GROUPS[name]
    assert dict(built.images[0].values) == FIRST[name]
    assert {f.kind for f in built.features.values()} <= {"metadata"}
    assert check_annotations(built.path) == []


def test_the_official_names_with_downsampled_are_kept_as_ids(tmp_path: Path):
    built = build("isic2019", tmp_path)
    assert built.images[3].id == "ISIC_0000003_downsampled"
    assert "images: 1 of 5 that the table names are not there" in built.notes


def test_the_source_is_told_by_the_lesion_id_and_left_out_without_one(tmp_path: Path):
    built = build("isic2019", tmp_path)
    sources = [image.values.get("dataset") for image in built.images]
    assert sources == ["HAM10000", None, "BCN20000", "MSK"]


def test_the_table_of_ham10000_adds_what_2018_lacks(tmp_path: Path):
    root = tmp_path / "data"
    ham10000(root)
    (root / "HAM10000_metadata").rename(root / "HAM10000_metadata.csv")
    built = build("isic2018_task3", tmp_path, "isic2018_task3")
    assert dict(built.images[2].values) == {
        "diagnosis_confirm_type": "histopathology", "dx_type": "histo", "dataset": "rosendahl",
    }  # fmt: skip
    with pytest.raises(UsageError, match="isic2018_task3 and ham10000; name one with --layout"):
        build_annotations(None, root, tmp_path / "a.json")


def test_several_parts_are_one_file_that_remembers_them(tmp_path: Path):
    root = tmp_path / "data"
    isic2016(root)
    isic_images(root, IDS[3:], "Test")
    truth = ["ISIC_0000003,0.0", "ISIC_0000004,1.0"]
    table(root / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv", *truth)
    built = build_annotations(None, root, tmp_path / "a.json")
    assert [image.label for image in built.images[3:]] == ["benign", "malignant"]
    parts = [image.values["official_split"] for image in built.images]
    assert parts == ["train", "train", "train", "test", "test"]


def test_groups_may_be_those_of_another_column_or_none(tmp_path: Path):
    by_lesion = build("ham10000", tmp_path, columns=Columns(group=("dx",)))
    assert [image.group for image in by_lesion.images] == ["bkl", "bkl", "mel", "nv"]
    alone = build("ham10000", tmp_path, columns=Columns(group=("none",)))
    assert {image.group for image in alone.images} == {None}
    with pytest.raises(AnnotationError, match="'lesion'; did you mean 'lesion_id'"):
        build("ham10000", tmp_path, columns=Columns(group=("lesion",)))


def test_duplicates_of_2020_without_groups_are_still_tied(tmp_path: Path):
    built = build("isic2020", tmp_path, columns=Columns(group=("none",)))
    groups = [image.group for image in built.images]
    assert groups == [None, None, "copies of ISIC_0000002", "copies of ISIC_0000002", None]


def test_flags_of_artifacts_are_taken_with_any_year(tmp_path: Path):
    flags = table(tmp_path / "flags.csv", "image;ruler;hair", "ISIC_0000001.png;1;0")
    built = build("isic2019", tmp_path, flags=flags)
    assert built.features["ruler"].kind == "artifact"
    assert built.presence("ISIC_0000001", "ruler") is True
    assert built.presence("ISIC_0000000", "ruler") is None


def test_tables_may_lie_elsewhere_and_are_then_named(tmp_path: Path):
    root = tmp_path / "data"
    isic2019(root)
    truth = (root / "ISIC_2019_Training_GroundTruth.csv").rename(tmp_path / "t.csv")
    metadata = (root / "ISIC_2019_Training_Metadata.csv").rename(tmp_path / "m.csv")
    out = tmp_path / "a.json"
    with pytest.raises(AnnotationError, match=r"image, MEL, .*SCC, but found none; .* --labels"):
        build_annotations("isic2019", root, out)
    built = build_annotations("isic2019", root, out, labels=truth, metadata=metadata)
    assert [image.label for image in built.images] == LABELS["isic2019"]
    assert [image.group for image in built.images] == GROUPS["isic2019"]
    with pytest.raises(AnnotationError, match=r"image, MEL.* in .*m\.csv, but got image, age"):
        build_annotations("isic2019", root, out, labels=metadata)


def test_missing_metadata_are_told(tmp_path: Path):
    root = tmp_path / "data"
    isic2017(root)
    (root / "ISIC-2017_Training_Data_metadata.csv").unlink()
    built = build_annotations("isic2017", root, tmp_path / "a.json")
    assert "no table with the columns image_id, age_approximate, sex" in built.notes


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("isic2019", "1.0", "x", "Expected 0 and 1 in the columns MEL"),
        ("isic2020", "malignant,1", "maybe,1", "benign or malignant in .* but got 'maybe'"),
        ("isic2020", "ISIC_", "OTHER_", "such as OTHER_0000000.jpg"),
    ],
)
def test_a_table_of_other_content_is_refused(tmp_path: Path, name, old, new, said):
    WRITE[name](tmp_path / "data")
    path = next((tmp_path / "data").glob("*GroundTruth.csv"))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(AnnotationError, match=said):
        build_annotations(name, tmp_path / "data", tmp_path / "a.json")


def test_a_second_row_and_a_second_file_of_an_image_are_told(tmp_path: Path):
    root = tmp_path / "data"
    isic2017(root)
    path = root / "ISIC-2017_Training_Part3_GroundTruth.csv"
    path.write_text(path.read_text() + "ISIC_0000000,1.0,0.0\n")
    image(root / "Other" / "ISIC_0000001.png")
    built = build_annotations(None, root, tmp_path / "a.json")
    assert built.images[0].label == "nevus"
    assert any("1 rows of an image that had one already" in note for note in built.notes)
    assert any("1 files of an id that another file has" in note for note in built.notes)


class TestTwoClasses:
    def test_all_but_the_positive_classes_are_merged(self, tmp_path: Path):
        built = build("isic2019", tmp_path, positive=["MEL", "SCC"], names=("benign", "malignant"))
        assert built.labels == ("benign", "malignant")
        assert [i.label for i in built.images] == ["benign", "malignant", None, "malignant"]

    def test_without_names_they_are_called_after_their_classes(self, tmp_path: Path):
        assert build("isic2019", tmp_path, positive=["MEL", "SCC"]).labels == ("other", "MEL+SCC")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"positive": ["mel"]}, "Unknown class 'mel'"),
            ({"positive": ["MEL", "NV", "SCC"]}, "but got all"),
            ({"names": ("a", "b")}, "with --positive, but got them alone"),
            ({"positive": ["MEL"], "names": ("a", "a")}, "'a' twice"),
        ],
    )
    def test_what_makes_no_two_classes_is_refused(self, tmp_path: Path, options, said):
        with pytest.raises(UsageError, match=said):
            build("isic2019", tmp_path, **options)


DATA = Path("../shared/data/isic2018")


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images at ../shared/data are not here")
def test_the_real_tables_of_2019_are_read_as_described(tmp_path: Path):
    built = build_annotations("isic2019", DATA, tmp_path / "a.json")
    # One image of the 2018 set is not in the table of 2019.
    assert built.summary.labels == {"MEL": 519, "NV": 1866, "BKL": 208}
    assert built.summary.grouped == 708
    assert {image.values.get("dataset") for image in built.images} == {None, "MSK"}
    ages = next(f for f in built.summary.features if f.name == "age")
    assert ages.values == 2594 - 295
