"""`check` opens every file's header and finds what reading alone cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from xattn.annotations import check_annotations


def _lines(folder) -> list[str]:
    return [str(problem) for problem in folder.check()]


def test_a_good_file_has_no_problems(folder):
    assert folder.check() == []


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((20, 30), True),
        ((200, 300), True),
        ((10, 15), True),
        ((20, 29), True),
        ((20, 27), False),
        ((20, 20), False),
        ((30, 20), False),
    ],
)
def test_a_mask_must_have_the_aspect_ratio_of_its_image(folder, shape, fits):
    folder.save("masks/b_network.png", np.ones(shape, bool))
    expected = (
        "image b, key masks.pigment_network: Expected a mask of the aspect ratio of its image, "
        f"30 x 20, but got {shape[1]} x {shape[0]}"
    )
    assert _lines(folder) == ([] if fits else [expected])


def test_run_lengths_must_have_it_too(folder):
    folder.change("images", 1, "masks", "patches", to={"size": [6, 6], "counts": [36]})
    assert "image b, key masks.patches: Expected a mask of the aspect ratio" in _lines(folder)[0]


def test_so_must_the_lesion(folder):
    folder.save("masks/c_lesion.png", np.ones((30, 30), bool))
    assert _lines(folder)[0].startswith("image c, key lesion: Expected a mask of the aspect ratio")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n\0\0"])
@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("images/b.png", "file"),
        ("masks/b_lesion.png", "lesion"),
        ("masks/b_network.png", "masks.pigment_network"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_named(folder, content, file, key):
    (folder.root / file).write_bytes(content)
    (line,) = _lines(folder)
    assert line.startswith(f"image b, key {key}: ")
    assert file in line


def test_problems_of_the_text_and_of_the_files_are_told_together(folder):
    folder.change("images", 0, "label", to="x")
    (folder.root / "images/b.png").write_bytes(b"")
    folder.save("masks/c_network.png", np.ones((9, 99), bool))
    assert [(f.image, f.key) for f in folder.check()] == [
        ("a", "label"),
        ("b", "file"),
        ("c", "masks.pigment_network"),
    ]


def test_a_truncated_png_is_found_without_decoding_it(folder):
    path = folder.root / "masks/a_network.png"
    path.write_bytes(path.read_bytes()[:-20])
    (line,) = _lines(folder)
    assert "ends too early" in line


@pytest.mark.parametrize("value", [2, 100])
def test_a_tool_that_writes_masks_in_a_form_of_its_own_is_found_before_the_long_part(
    tmp_path, value
):
    images = []
    for i in range(60):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{i}.png")
        Image.new("L", (8, 6), value).save(tmp_path / f"m{i}.png")
        images.append({"id": f"{i}", "file": f"{i}.png", "masks": {"ruler": f"m{i}.png"}})
    content = {"features": {"ruler": {"kind": "artifact"}}, "images": images}
    (tmp_path / "a.json").write_text(json.dumps(content))
    problems = check_annotations(tmp_path / "a.json")
    assert len(problems) == 20
    assert "image 0, key masks.ruler: Expected a mask with pixels above half" in str(problems[0])
    assert check_annotations(tmp_path / "a.json", headers=False) == []
