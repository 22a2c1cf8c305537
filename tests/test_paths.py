"""What is no path is named for what it is, in whatever function a path is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import xattn
from tests.models.nets import Brightness, wrapped
from xattn.errors import UsageError
from xattn.images.find import find_images
from xattn.paths import as_paths
from xattn.runs import RunFolder

THINGS = {
    "array": (np.zeros((2, 4, 4, 3), np.uint8), r"an ndarray of shape \(2, 4, 4, 3\)"),
    "tensor": (torch.zeros(3, 4, 4), r"a Tensor of shape \(3, 4, 4\)"),
    "image": (Image.new("RGB", (4, 4)), "an Image"),
    "network": (nn.Linear(2, 2), "a Linear"),
    "number": (3.5, "a float"),
    "nothing": (None, "a NoneType"),
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(
    "call",
    [xattn.load, RunFolder.open, xattn.read_annotations, find_images,
     lambda thing: find_images([thing])],
    ids=["load", "run", "annotations", "images", "list of images"],
)  # fmt: skip
def test_what_is_no_path_is_one_clear_line(call, thing):
    given, named = THINGS[thing]
    with pytest.raises(UsageError, match=f"Expected the path of .*, but got {named}"):
        call(given)


def test_pixels_are_sent_to_a_file():
    with pytest.raises(UsageError, match="write it to a file first"):
        xattn.explain(wrapped(Brightness()), np.zeros((4, 4, 3)))


def test_a_network_in_memory_is_sent_to_wrap():
    with pytest.raises(UsageError, match=r"xattn\.wrap takes networks"):
        xattn.load(nn.Linear(2, 2))
    with pytest.raises(UsageError, match=r"got a Linear; such as xattn\.wrap"):
        xattn.explain(nn.Linear(2, 2), "images")


@pytest.mark.parametrize("given", ["a", Path("a"), ["a"], (Path("a"),), iter(["a"])])
def test_paths_are_taken_in_any_form(given):
    assert as_paths(given, "images") == ["a"]


class TestOneNameForSeveral:
    def test_a_method_by_itself_is_one_method(self, tmp_path):
        Image.new("RGB", (48, 32), "red").save(tmp_path / "a.png")
        run = xattn.explain(
            wrapped(Brightness()), tmp_path, methods="gradcam", target=1, out=tmp_path / "run"
        )
        assert run.methods == ["gradcam"]
        assert run.settings["target"] == "1"


def test_what_is_large_is_shown_in_a_line(tmp_path):
    file = tmp_path / "a.json"
    images = ", ".join(f'{{"id": "i{n}", "file": "i{n}.png", "label": "a"}}' for n in range(500))
    for n in range(500):
        (tmp_path / f"i{n}.png").touch()
    file.write_text(
        '{"schema": "xattn-annotations/1", "labels": ["a", "b", "c", "d", "e"], '
        f'"features": {{}}, "images": [{images}]}}'
    )
    shown = repr(xattn.read_annotations(file))
    assert shown == "<xattn.Annotations a.json: 500 images, a, b, c and 2 more, 0 features>"
