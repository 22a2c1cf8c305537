import numpy as np
import pytest

from tests.analysis.annotated import plant
from xattn.analysis.dependence.table import measured_columns
from xattn.annotations import read_annotations
from xattn.errors import AnnotationError
from xattn.features.feature_set import collect_features
from xattn.features.from_csv import read_more_features
from xattn.runs.atomic import read_record


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("run"), 6)


def table(tmp_path, text):
    path = tmp_path / "more.csv"
    path.write_text(text)
    return path


GOOD = "image_id,dose,device,seen\nimg_0002,2.5,A,true\nimg_0000,1,B,false\nother,9,,true\n"


def test_columns_are_joined_by_image_whatever_the_order(planted, tmp_path):
    more = read_more_features(table(tmp_path, GOOD))
    annotations = read_annotations(planted.annotations)
    features = collect_features(planted.run, annotations, more=more, computed=False)
    nan = np.nan
    np.testing.assert_equal(features.table["dose"].to_numpy(), [1, nan, 2.5, nan, nan, nan])
    np.testing.assert_equal(features.table["seen"].to_numpy(), [0, nan, 1, nan, nan, nan])
    assert features.table["device"].fillna("-").tolist()[:3] == ["B", "-", "A"]
    assert {features.kinds[n] for n in ("dose", "seen", "device")} == {"metadata"}
    aspects = {(c.feature, c.aspect, c.nominal) for c in measured_columns(features)}
    assert {
        ("dose", "value", False),
        ("seen", "presence", False),
        ("device", "value", True),
    } < aspects
    facts = read_record(planted.run.path / "features.json")["more"]
    assert facts["path"].endswith("more.csv")
    assert len(facts["sha256"]) == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,dose\na,1\n", "column image_id"),
        ("image_id\na\n", "and others"),
        ("image_id,dose\na,1\na,2\n", "'a' twice"),
        ("", "but got an empty file"),
    ],
)
def test_a_table_that_cannot_serve_says_why(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        read_more_features(table(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"none\.csv"):
        read_more_features(tmp_path / "none.csv")


def test_ids_are_text_even_if_they_look_like_numbers(tmp_path):
    more = read_more_features(table(tmp_path, "image_id,dose\n007,1\n"))
    assert more.columns(["007"], set())["dose"].tolist() == [1.0]


def test_a_taken_name_and_ids_of_another_set_are_refused(tmp_path):
    more = read_more_features(table(tmp_path, GOOD))
    with pytest.raises(AnnotationError, match="another name for the column 'dose'"):
        more.columns(["img_0000"], {"dose"})
    with pytest.raises(AnnotationError, match="no id in common"):
        more.columns(["x"], set())
