from __future__ import annotations

import os
from pathlib import Path

import pytest

from xattn.annotations.listing import Listing, has_images, images_below


@pytest.mark.parametrize("n", [3, 100])
def test_files_that_are_there_are_found_and_no_others(tmp_path: Path, n: int):
    paths = [tmp_path / f"{i}.png" for i in range(n)]
    for path in paths[::2]:
        path.touch()
    (tmp_path / "1.png").mkdir()
    listing = Listing()
    assert [listing.has(path) for path in paths] == [i % 2 == 0 for i in range(n)]
    assert not listing.has(tmp_path / "absent" / "x.png")


def test_a_folder_that_is_asked_about_often_is_asked_once(tmp_path: Path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(500)]
    for path in paths:
        path.touch()
    asked = []
    isfile = os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: asked.append(path) or isfile(path))
    listing = Listing()
    assert all(listing.has(path) for path in paths)
    assert len(asked) < 20


def test_a_linked_file_counts_and_a_dead_link_does_not(tmp_path: Path):
    (tmp_path / "real").touch()
    listing = Listing()
    for i in range(40):
        (tmp_path / f"good{i}").symlink_to("real")
        (tmp_path / f"dead{i}").symlink_to("gone")
    assert all(listing.has(str(tmp_path / f"good{i}")) for i in range(40))
    assert not any(listing.has(str(tmp_path / f"dead{i}")) for i in range(40))


def test_images_below_are_sorted_and_hidden_ones_passed_over(tmp_path: Path):
    for name in ("b/2.PNG", "b/1.png", "a/x.jpg", "a/y.txt", ".git/z.png", "b/.h.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    notes: list[str] = []
    found = [Path(folder, name).relative_to(tmp_path).as_posix()
             for folder, name in images_below(tmp_path, notes.append)]  # fmt: skip
    assert found == ["a/x.jpg", "b/1.png", "b/2.PNG"]
    assert notes == ["images: passed over 1 file beside the images: 1 .txt"]
    assert has_images(tmp_path)
    (tmp_path / "c").mkdir()
    assert not has_images(tmp_path / "c")


def test_a_name_that_is_no_utf8_is_left_out_and_told(tmp_path: Path):
    (tmp_path / "a.png").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    notes: list[str] = []
    assert [name for _, name in images_below(tmp_path, notes.append)] == ["a.png"]
    assert len(notes) == 1
    assert "1 are left out because their names are no UTF-8, such as" in notes[0]
    notes[0].encode()


def test_where_there_is_no_folder_there_are_no_images(tmp_path: Path):
    assert images_below(tmp_path / "gone", print) == []
