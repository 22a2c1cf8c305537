"""Listing, naming and decoding what is to be explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.attribution.run.sources import (
    DecodedImage,
    Failure,
    Named,
    decode,
    list_images,
    name_images,
)
from xattn.errors import Remark, UsageError, XattnError
from xattn.images import ImageFile, Preprocessing


def names(files: list[str], taken: dict[str, str] | None = None, out: str = "work/run") -> list:
    return list(
        name_images([ImageFile(Path(f).stem, Path(f)) for f in files], Path(out), taken or {})
    )


class TestNaming:
    def test_is_relative_to_the_folder_that_holds_the_run(self):
        found = names(["work/images/a.png", "data/b.png"])
        assert [one.file for one in found] == ["images/a.png", "../data/b.png"]

    def test_is_the_same_for_absolute_and_relative_paths(self):
        assert names([str(Path("work/a.png").absolute())])[0].file == "a.png"
        assert names(["work/a.png"], out=str(Path("work/run").absolute()))[0].file == "a.png"

    def test_finds_the_second_file_of_an_id(self):
        found = names(["work/x/a.png", "work/b.png", "work/y/a.jpg"])
        assert [one.problem for one in found[:2]] == ["", ""]
        assert found[2].problem.startswith(
            "Expected one file per id, but 'a' is also x/a.png; rename one, or name both"
        )

    def test_finds_a_file_whose_id_the_run_already_holds(self):
        found = names(["work/x/a.png", "work/y/a.png"], taken={"a": "x/a.png"})
        assert found[0].problem == ""
        assert "'a' is also x/a.png" in found[1].problem

    @pytest.mark.parametrize("id_", ["a/b", "../a", "/a", ""])
    def test_finds_ids_that_cannot_be_file_names(self, id_):
        (found,) = name_images([ImageFile(id_, Path("work/a.png"))], Path("work/run"), {})
        assert found.problem.startswith("Expected an id that can be a file name")


class TestDecoding:
    def named(self, path: Path, problem: str = "") -> Named:
        return Named("a", path, "a.png", problem)

    def test_gives_what_the_model_and_the_overlay_need(self, tmp_path):
        Image.new("RGB", (1024, 512), (9, 8, 7)).save(tmp_path / "a.png")
        found = decode(self.named(tmp_path / "a.png"), Preprocessing((32, 48)))
        assert isinstance(found, DecodedImage)
        assert found.pixels.shape == (32, 48, 3)
        assert found.thumb.shape == (256, 512, 3)
        assert found.size == (1024, 512)
        assert found.note == ""

    @pytest.mark.parametrize(
        ("problem", "stage", "error"),
        [("twice", "find", "twice"), ("", "decode", "nothing there")],
    )
    def test_gives_a_line_of_errors_csv_for_what_cannot_be_done(
        self, tmp_path, problem, stage, error
    ):
        found = decode(self.named(tmp_path / "gone.png", problem), Preprocessing((32, 48)))
        assert isinstance(found, Failure)
        row = found.to_row()
        assert (row["file"], row["stage"]) == ("a.png", stage)
        assert error in row["error"]

    def test_of_an_image_too_thin_to_crop_is_a_failure_of_that_image(self, tmp_path):
        Image.new("RGB", (60_000, 1)).save(tmp_path / "a.png")
        found = decode(self.named(tmp_path / "a.png"), Preprocessing((224, 224), "crop", 256))
        assert isinstance(found, Failure)
        assert "crop it, or use mode 'squash'" in found.error


def test_neither_images_nor_annotations_is_a_usage_error():
    with pytest.raises(UsageError, match="images or annotations, but got neither"):
        list_images(None, None)


class TestKnownImages:
    """With an annotation file, images bear its ids, and how many it knows is told."""

    def _known(self, tmp_path, **files: str) -> Annotations:
        images = tuple(AnnotatedImage(i, tmp_path / f, label="x") for i, f in files.items())
        return Annotations(tmp_path / "a.json", ("x",), {}, images)

    def test_how_many_are_known_and_labelled_is_a_remark(self, tmp_path):
        for name in ("c/1.png", "d/1.png", "d/2.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        notes: list[str] = []
        known = self._known(tmp_path, first="c/1.png", second="d/2.png")
        listed = list_images(tmp_path, known, notes.append)
        assert [image.id for image in listed] == ["first", "d__1", "second"]
        assert f"2 of 3 images are in {tmp_path / 'a.json'}, 2 labelled" in notes
        assert all(isinstance(note, Remark) for note in notes)

    def test_none_of_them_is_an_error_with_an_id_of_both_sides(self, tmp_path):
        (tmp_path / "7.png").write_bytes(b"x")
        with pytest.raises(XattnError, match=r"none of the 1 .*'7' here, '0007' there; .* zeros"):
            list_images(tmp_path, self._known(tmp_path, **{"0007": "x/0007.png"}))
