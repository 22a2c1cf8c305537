"""A file is the old one or the new one, never half of either."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from xattn.disk import replacing
from xattn.runs.atomic import write_text


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with replacing(path) as scratch:
        scratch.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_an_error_half_way_leaves_the_old_and_no_scraps(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as scratch:
            scratch.write_text("ne")
            raise ValueError("halt")

    with pytest.raises(ValueError, match="halt"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_scraps_of_a_killed_process_do_not_matter(tmp_path):
    (tmp_path / ".a.csv.part").write_text("half of something long")
    with replacing(tmp_path / "a.csv") as scratch:
        scratch.write_text("new")
    assert (tmp_path / "a.csv").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_that_several_write_at_once_is_always_one_whole_version(tmp_path):
    path, versions = tmp_path / "a.csv", [f"{n}\n" * 10 ** (n % 5) for n in range(40)]
    write_text(path, versions[0])
    seen = set()

    def work(text):
        write_text(path, text, shared=True)
        return path.read_text()

    with ThreadPoolExecutor(8) as pool:
        seen.update(pool.map(work, versions))
    assert seen <= set(versions)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_of_scraps_of_a_shared_file_those_go_that_no_writer_can_be_at(tmp_path):
    old, new, other = (tmp_path / f".{name}.part" for name in ("a.csv.1", "a.csv.2", "b.csv.1"))
    for scrap in (old, new, other):
        scrap.touch()
    for scrap in (old, other):
        os.utime(scrap, (0, 0))
    with replacing(tmp_path / "a.csv", shared=True) as scratch:
        scratch.write_text("new")
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", new.name, other.name}
