"""The images a user means, in an order that never changes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.images.old_pillow import skip_if_old
from xattn.errors import Remark, UsageError, XattnError
from xattn.images import find_images
from xattn.images.ids import distinct_ids
from xattn.images.kinds import endings


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


def test_files_of_one_name_are_called_after_their_folders(folder):
    (folder / "b/a.jpg").write_bytes(b"x")
    (folder / "c/a.jpg").parent.mkdir()
    (folder / "c/a.jpg").write_bytes(b"x")
    notes: list[str] = []
    ids = [image.id for image in find_images(folder, notes.append)]
    assert ids == ["a", "1", "2", "b__a", "c__a"]
    (line,) = [note for note in notes if "share their name" in note]
    assert isinstance(line, Remark)


def test_files_of_one_name_in_one_folder_are_told_apart_by_their_endings(tmp_path):
    for name in ("a.jpg", "a.tif", "b.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)).save(
            tmp_path / name
        )
    assert _ids(tmp_path) == ["a_jpg", "a_tif", "b"]


def test_two_folders_that_hold_the_same_names_are_told_apart_by_their_own(tmp_path):
    for name in ("one/x/a.jpg", "two/x/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    assert _ids([tmp_path / "one", tmp_path / "two"]) == ["one__x__a", "two__x__a"]


@given(
    st.lists(st.from_regex(r"([ab_]/){0,2}[ab_]{1,3}(\.(png|jpg))?", fullmatch=True), unique=True)
)
def test_ids_are_distinct_whatever_the_paths(paths):
    assert len(set(distinct_ids(paths))) == len(paths)


def test_an_empty_directory_says_so(tmp_path):
    with pytest.raises(XattnError, match="but found none"):
        find_images(tmp_path)


def test_a_path_where_nothing_is_says_so(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        find_images(tmp_path / "nowhere")


def test_what_lies_in_a_run_folder_is_no_input(folder):
    overlay = folder / "b/xattn-run/overlays/gradcam/a.png"
    overlay.parent.mkdir(parents=True)
    overlay.write_bytes(b"x")
    assert len(_ids(folder)) == 4
    (folder / "b/xattn-run/run.json").write_text("{}")
    assert _ids(folder) == ["a", "1", "2"]


def test_a_list_from_notepad_begins_with_a_mark_that_is_no_path(folder):
    (folder / "list.txt").write_text("a.jpg\r\nb/1.jpeg\r\n", encoding="utf-8-sig")
    assert _ids(folder / "list.txt") == ["a", "1"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "cp1252"])
def test_a_list_may_be_of_any_encoding_of_windows(folder, encoding):
    (folder / "größe.jpg").write_bytes(b"x")
    (folder / "list.txt").write_text('"größe.jpg"\r\na.jpg\r\n', encoding=encoding)
    assert _ids(folder / "list.txt") == ["größe", "a"]


class TestEndings:
    def _notes(self, folder: Path) -> list[str]:
        notes: list[str] = []
        find_images(folder, notes.append)
        return notes

    @pytest.mark.parametrize(
        "name", ["x.jfif", "x.JPE", "x.avif", "x.j2k", "x.tga", "x.ppm", "x.pgm", "x.dib", "x.qoi"]
    )
    def test_whatever_the_decoder_can_read_is_taken(self, tmp_path, name):
        if Path(name).suffix.lower() not in endings():
            skip_if_old(Path(name).suffix[1:].upper())
        (tmp_path / name).write_bytes(b"x")
        assert _ids(tmp_path) == ["x"]

    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "JPEG2000", "TIFF"])
    def test_an_image_without_an_ending_is_known_by_its_first_bytes(self, tmp_path, format_):
        Image.new("RGB", (8, 8)).save(tmp_path / "scan", format_)
        assert _ids(tmp_path) == ["scan"]

    @pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_an_image_with_the_ending_of_a_phone_is_known_by_its_first_bytes(
        self, tmp_path, format_
    ):
        Image.new("RGB", (8, 8)).save(tmp_path / "x.heic", format_)
        assert _ids(tmp_path) == ["x"]

    def test_a_raw_file_is_not_read_as_its_thumbnail(self, tmp_path):
        Image.new("RGB", (8, 8)).save(tmp_path / "x.nef", "TIFF")
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
        assert _ids(tmp_path) == ["a"]

    def test_what_is_passed_over_is_counted_by_its_ending(self, tmp_path):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
        for name in ("1.svs", "2.SVS", "3.nii", "4"):
            (tmp_path / name).write_bytes(b"\0" * 140)
        (line,) = self._notes(tmp_path)
        assert line == (
            "passed over 4 files of no format that can be read: 2 .svs, 1 .nii, 1 without an "
            "ending; convert them to PNG or TIFF"
        )
        assert not isinstance(line, Remark)

    def test_tables_and_texts_beside_the_images_are_no_loss(self, tmp_path):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
        for name in ("metadata.csv", "LICENSE.txt"):
            (tmp_path / name).write_text("x")
        (line,) = self._notes(tmp_path)
        assert "1 .csv, 1 .txt" in line
        assert isinstance(line, Remark)

    @pytest.mark.parametrize(
        "name",
        ["._a.jpg", "Thumbs.db", "@eaDir/a.jpg", "__MACOSX/a.jpg", ".DS_Store", "desktop.ini"],
    )
    def test_what_systems_leave_is_no_word_worth(self, tmp_path, name):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
        assert _ids(tmp_path) == ["a"]
        assert self._notes(tmp_path) == []

    def test_a_folder_of_nothing_that_can_be_read_says_what_is_there(self, tmp_path):
        (tmp_path / "x.svs").write_bytes(b"\0" * 140)
        with pytest.raises(
            XattnError, match=r"found none; passed over 1 file .*: 1 \.svs; convert"
        ):
            find_images(tmp_path)

    def test_a_pipe_and_a_folder_that_are_called_like_images_are_none(self, tmp_path):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
        os.mkfifo(tmp_path / "b.jpg")
        (tmp_path / "c.jpg").mkdir()
        assert _ids(tmp_path) == ["a"]
        (line,) = self._notes(tmp_path)
        assert "b.jpg is a pipe, a socket or a device" in line


class TestLinks:
    """Linked folders and files are followed, each real file once, whatever the links lead to."""

    @pytest.fixture
    def pool(self, tmp_path) -> Path:
        for name in ("pool/1.jpg", "pool/2.jpg", "pool/inner/3.jpg", "data/own.jpg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        return tmp_path

    @pytest.mark.parametrize("pattern", ["{}", "{}/**/*", "{}/**/*.jpg", "{}/**"])
    def test_a_linked_folder_is_gone_through(self, pool, pattern):
        (pool / "data/more").symlink_to("../pool")
        assert _ids(pattern.format(pool / "data")) == ["1", "2", "3", "own"]

    @pytest.mark.parametrize("pattern", ["{}", "{}/**/*", "{}/**/*.jpg"])
    @pytest.mark.parametrize(
        "links",
        [
            {"data/loop": "."},
            {"data/loop": ".", "data/again": "."},
            {"data/up": "../data"},
            {"data/a": "b", "data/b": "a"},
            {"data/self": "self"},
            {"pool/back": "../data", "data/loop": "."},
        ],
    )
    def test_loops_end_and_no_file_is_there_twice(self, pool, links, pattern):
        for name, target in links.items():
            (pool / name).symlink_to(target)
        assert _ids(pattern.format(pool / "data")) == ["own"]

    def test_two_links_to_one_folder_give_its_files_once_and_real_names_come_first(self, pool):
        (pool / "a").symlink_to("pool")
        (pool / "z").symlink_to("pool")
        found = find_images(pool)
        assert [image.path.relative_to(pool).as_posix() for image in found] == [
            "data/own.jpg", "pool/1.jpg", "pool/2.jpg", "pool/inner/3.jpg",
        ]  # fmt: skip

    def test_a_linked_file_is_an_image_and_a_second_link_to_it_is_not(self, pool):
        (pool / "data/x.jpg").symlink_to("../pool/1.jpg")
        (pool / "data/y.jpg").symlink_to("../pool/1.jpg")
        (pool / "data/z.jpg").symlink_to("own.jpg")
        notes: list[str] = []
        assert [image.id for image in find_images(pool / "data", notes.append)] == ["own", "x"]
        assert notes == ["passed over 2 links to what is there already"]

    @pytest.mark.parametrize(
        "sources",
        [
            ["data", "pool"],  # data/more leads to pool
            ["pool", "data"],
            ["data", "data/more/*.jpg", "pool/inner"],
            ["pool/inner/3.jpg", "data/more", "data/../data"],
            ["data/*.jpg", "data/**/*.jpg", "pool"],
        ],
    )
    def test_several_sources_give_each_real_file_once(self, pool, sources):
        (pool / "data/more").symlink_to("../pool")
        (pool / "pool/back").symlink_to("../data")
        (pool / "data/same.jpg").symlink_to("own.jpg")
        notes: list[str] = []
        found = find_images([pool / source for source in sources], notes.append)
        assert sorted(os.path.basename(os.path.realpath(image.path)) for image in found) == [
            "1.jpg", "2.jpg", "3.jpg", "own.jpg",
        ]  # fmt: skip
        assert any("to what is there already" in note for note in notes)

    def test_a_pattern_takes_one_of_several_links_to_a_file(self, pool):
        (pool / "data/x.jpg").symlink_to("../pool/1.jpg")
        (pool / "data/y.jpg").symlink_to("../pool/1.jpg")
        (pool / "data/a.jpg").symlink_to("own.jpg")
        notes: list[str] = []
        found = find_images(str(pool / "data/*.jpg"), notes.append)
        assert [image.id for image in found] == ["own", "x"]
        assert notes == ["passed over 2 links to what is there already"]

    def test_a_link_that_leads_nowhere_is_named(self, pool):
        (pool / "data/gone.jpg").symlink_to("../nowhere.jpg")
        notes: list[str] = []
        find_images(pool / "data", notes.append)
        (line,) = notes
        assert "gone.jpg is a link that leads nowhere" in line


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_lists_files_in_a_column_whatever_it_is_called(tmp_path, ending):
    import pandas as pd

    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    table = pd.DataFrame({"image": ["x", "y"], "where": ["b.png", "a.png"], "age": [1, 2]})
    path = tmp_path / f"list.{ending}"
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep=";" if ending == "csv" else "\t")
    assert _ids(path) == ["b", "a"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["Unix", "Windows", "an old Mac"])
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_lines_of_a_list_may_end_as_on_any_system(tmp_path, end, ending):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    lines = [*(["file,age"] if ending == "csv" else []), "b.png,1", "a.png,2"]
    lines = lines if ending == "csv" else [line.partition(",")[0] for line in lines]
    (tmp_path / f"list.{ending}").write_bytes(end.join(lines).encode())
    assert _ids(tmp_path / f"list.{ending}") == ["b", "a"]


def test_a_table_whose_names_have_lines_is_refused_in_one(tmp_path):
    (tmp_path / "list.csv").write_text('"id\nof image","a b"\nISIC_1,nv\n')
    with pytest.raises(UsageError) as found:
        find_images(tmp_path / "list.csv")
    assert "id of image" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_table_that_names_no_files_says_what_it_has(tmp_path):
    (tmp_path / "list.csv").write_text("id,label\nISIC_1,nv\n")
    with pytest.raises(UsageError, match=r"none among id, label; a table of ids becomes"):
        find_images(tmp_path / "list.csv")
