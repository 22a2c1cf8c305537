import pytest

from xattn.errors import XattnError
from xattn.runs.atomic import write_text
from xattn.splits.membership import membership
from xattn.splits.splits import write_splits

SPLITS = {"a": "train", "b": "val", "c": "test", "d": "ood"}


@pytest.fixture
def source(tmp_path):
    """What `Model.source` says of a checkpoint of `xattn train`."""
    text = write_splits(SPLITS, {"d": "elsewhere"})
    sha256 = write_text(tmp_path / "splits.csv", text)
    return {"path": str(tmp_path / "model.pt"), "extra": {"splits_sha256": sha256}}


def test_the_splits_beside_a_checkpoint_are_believed_if_their_hash_is_the_checkpoints(
    source, tmp_path
):
    got = membership(source)
    assert got.known
    assert got.splits == SPLITS
    assert got.domains == {"d": "elsewhere"}
    assert got.file == tmp_path / "splits.csv"
    assert got.caveat == ""


def test_a_folder_holds_its_checkpoint_and_the_splits(source, tmp_path):
    assert membership({**source, "path": str(tmp_path)}).splits == SPLITS


def test_a_file_that_was_changed_is_not_believed(source, tmp_path):
    with (tmp_path / "splits.csv").open("a") as file:
        file.write("e,test,\n")
    got = membership(source)
    assert not got.known
    assert "is not the file that the checkpoint was trained with" in got.caveat


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra": {}}, "does not say which images"),
        ({"path": "elsewhere/model.pt"}, "is not there; name it with --splits"),
    ],
)
def test_what_is_not_known_is_said(source, change, reason):
    got = membership({**source, **change})
    assert not got.known
    assert reason in got.caveat


def test_a_model_of_no_file_has_no_splits():
    assert "came from no file" in membership({}).caveat


def test_a_file_that_is_named_is_taken_and_its_hash_compared(source, tmp_path):
    assert membership(source, tmp_path / "splits.csv").caveat == ""
    other = tmp_path / "other.csv"
    other.write_text("image_id,split\nx,test\n")
    got = membership(source, other)
    assert got.splits == {"x": "test"}
    assert "other.csv is not the file" in got.caveat
    assert "does not say" in membership({}, other).caveat


def test_a_named_file_that_is_not_there_is_an_error(source, tmp_path):
    with pytest.raises(XattnError, match="no such file"):
        membership(source, tmp_path / "none.csv")


def test_splits_that_are_not_alike_are_told_with_the_file_they_are_of(source, tmp_path):
    line = "train and test are not alike in site"
    told = {**source, "extra": {**source["extra"], "unlike": [line]}}
    assert membership(told).unlike == (line,)
    assert membership(told, tmp_path / "splits.csv").unlike == (line,)
    (tmp_path / "other.csv").write_text("image_id,split\nx,test\n")
    assert membership(told, tmp_path / "other.csv").unlike == ()
    assert membership({**source, "extra": {**source["extra"], "unlike": 3}}).unlike == ()


def _fold(folder, splits):
    folder.mkdir()
    sha256 = write_text(folder / "splits.csv", write_splits(splits, {}))
    return {"path": str(folder / "model.pt"), "extra": {"splits_sha256": sha256}}


def test_an_image_that_one_member_of_an_ensemble_was_trained_on_was_trained_on(tmp_path):
    folds = [
        _fold(tmp_path / "0", {"a": "train", "b": "test", "c": "val", "d": "ood"}),
        _fold(tmp_path / "1", {"a": "test", "b": "test", "c": "test", "d": "test"}),
    ]
    got = membership({"members": folds})
    assert got.splits == {"a": "train", "b": "test", "c": "val", "d": "test"}
    assert got.caveat == ""


def test_what_is_not_known_of_a_member_is_a_caveat(tmp_path, source):
    got = membership({"members": [source, {"extra": {}}]})
    assert got.splits == SPLITS
    assert got.caveat.startswith("they are known of 1 of the 2 members alone")
    assert not membership({"members": [{}, {}]}).known
