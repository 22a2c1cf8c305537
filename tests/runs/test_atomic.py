"""A file is the old one or the new one, never half of either."""

from __future__ import annotations

import pytest

from xattn.disk import replacing


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
