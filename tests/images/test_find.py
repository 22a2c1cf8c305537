"""The images a user means, in an order that never changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from xattn.errors import UsageError, XattnError
from xattn.images import find_images


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ["b/2.PNG", "a.jpg", "b/1.jpeg", "notes.txt", ".hidden.jpg", ".cache/x.jpg"]:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "images"


def _ids(source) -> list[str]:
    return [image.id for image in find_images(source)]


def test_a_directory_is_searched_below_too_and_sorted(folder):
    assert _ids(folder) == ["a", "1", "2"]


def test_a_glob_takes_what_it_matches(folder):
    assert _ids(f"{folder}/b/*") == ["1", "2"]
    assert _ids(f"{folder}/**/*.jp*g") == ["a", "1"]


def test_several_sources_keep_their_order_and_a_file_is_taken_once(folder):
    assert _ids([folder / "b/2.PNG", folder / "a.jpg", folder]) == ["2", "a", "1"]


def test_a_text_file_lists_paths_relative_to_itself(folder):
    (folder / "list.txt").write_text("# two of them\nb/1.jpeg\n\na.jpg\n", encoding="utf-8")
    assert _ids(folder / "list.txt") == ["1", "a"]


def test_a_listed_file_is_taken_whatever_its_ending_and_presence(folder):
    (folder / "list.txt").write_text("gone.jpg\n", encoding="utf-8")
    assert _ids(folder / "list.txt") == ["gone"]


def test_two_files_of_one_id_are_both_returned(folder):
    (folder / "b/a.jpg").write_bytes(b"x")
    assert _ids(folder).count("a") == 2


def test_an_empty_directory_says_what_was_looked_for(tmp_path):
    with pytest.raises(XattnError, match=r"found none; endings looked for: \.jpg"):
        find_images(tmp_path)


def test_a_path_where_nothing_is_says_so(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        find_images(tmp_path / "nowhere")


def test_what_lies_in_a_run_folder_is_no_input(folder):
    overlay = folder / "b/xattn-run/overlays/gradcam/a.png"
    overlay.parent.mkdir(parents=True)
    overlay.write_bytes(b"x")
    assert _ids(folder).count("a") == 2
    (folder / "b/xattn-run/run.json").write_text("{}")
    assert _ids(folder) == ["a", "1", "2"]


def test_a_list_from_notepad_begins_with_a_mark_that_is_no_path(folder):
    (folder / "list.txt").write_text("a.jpg\r\nb/1.jpeg\r\n", encoding="utf-8-sig")
    assert _ids(folder / "list.txt") == ["a", "1"]
