import os

import pytest

from xattn.study.inputs import Inputs, files_below


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    (place / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png", ".hidden", "Thumbs.db"):
        (place / name).write_bytes(name.encode())
    return place


def digest(store, folder, out=None):
    return Inputs(store).digest(files_below(folder, out or folder.parent / "out"), folder)


def test_what_systems_leave_behind_is_no_input(folder, tmp_path):
    assert digest(tmp_path / "kept", folder)["files"] == 2


def test_a_folder_that_was_moved_or_copied_is_the_same_input(folder, tmp_path):
    before = digest(tmp_path / "kept", folder)
    assert digest(tmp_path / "kept", folder.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("change", ["content", "name", "one more", "one less"])
def test_whatever_changes_in_a_folder_changes_its_hash(folder, tmp_path, change):
    before = digest(tmp_path / "kept", folder)
    path = folder / "a.png"
    if change == "content":
        path.write_bytes(b"b.png")  # as long as before
        os.utime(path, ns=(1, 1))
    elif change == "name":
        path.rename(folder / "c.png")
    elif change == "one more":
        (folder / "c.png").write_bytes(b"c")
    else:
        path.unlink()
    assert digest(tmp_path / "kept", folder)["sha256"] != before["sha256"]


def test_files_that_were_not_touched_are_not_read_again(folder, tmp_path, monkeypatch):
    inputs = Inputs(tmp_path / "kept.parquet")
    files = files_below(folder, tmp_path / "out")
    before = inputs.digest(files, folder)
    inputs.save()
    read = []
    monkeypatch.setattr("xattn.runs.inputs.file_sha256", read.append)
    assert Inputs(tmp_path / "kept.parquet").digest(files, folder) == before
    assert read == []


def test_what_the_study_itself_writes_below_its_data_is_no_input(folder, tmp_path):
    out = folder / "xattn-study"
    before = digest(tmp_path / "kept", folder, out)
    out.mkdir()
    (out / "figure.png").write_bytes(b"ours")
    assert digest(tmp_path / "kept", folder, out) == before


def test_files_that_are_named_and_not_there_are_counted(folder, tmp_path):
    files = [folder / "a.png", folder / "gone.png"]
    found = Inputs(tmp_path / "kept").digest(files, folder)
    assert (found["files"], found["missing"]) == (2, 1)
