"""Batches that do not fit into memory are halved, said, and give the same results."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.attribution.on_disk import bright, noise
from tests.models.nets import CLASSES, Brightness, plain
from xattn.attribution.run.memory import Fitting, is_out_of_memory
from xattn.attribution.run.pipeline import explain
from xattn.errors import RunError
from xattn.models import Model, wrap

NO_MEMORY = {
    "of a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "of PyTorch on the CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "of Python": MemoryError(),
}


class Large(Brightness):
    """A network of which no more than some images fit into memory."""

    def __init__(self, most: int, problem: BaseException) -> None:
        super().__init__()
        self.most, self.problem = most, problem

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise self.problem
        return super().forward(x)


def large(most: int, problem: BaseException) -> Model:
    return wrap(Large(most, problem), classes=CLASSES, preprocessing=plain())


@pytest.fixture
def images(tmp_path):
    for i in range(11):
        noise(tmp_path / "images" / f"img_{i:02}.png", seed=i)
    return tmp_path / "images"


@pytest.mark.parametrize("problem", NO_MEMORY.values(), ids=NO_MEMORY)
@pytest.mark.parametrize("most", [1, 3, 7])
def test_the_run_goes_on_in_halves_says_so_and_has_the_same_results(
    images, tmp_path, most, problem
):
    said: list[str] = []
    kinds = {"methods": ["gradcam", "saliency"], "batch_size": 8, "accelerate": "none"}
    run = explain(large(most, problem), images, out=tmp_path / "run", on_note=said.append, **kinds)
    whole = explain(bright(), images, out=tmp_path / "whole", **kinds)
    assert list(run.predictions["image_id"]) == list(whole.predictions["image_id"])
    for method in run.methods:
        np.testing.assert_allclose(run.maps(method), whole.maps(method), atol=1e-6)
    fits = {1: 1, 3: 2, 7: 4}[most]
    assert [line for line in said if "did not fit into memory" in line] == [
        f"{2 * fits} images at once did not fit into memory, and were done {fits} at a time (the "
        f"same to rounding); --batch-size {fits} asks for it from the start"
    ]
    assert run.settings["fitted"] == fits
    assert "fitted" not in whole.settings


def test_an_image_that_does_not_fit_by_itself_ends_the_run_with_the_way_out():
    def work(_some):
        raise NO_MEMORY["of a GPU"]

    with pytest.raises(RunError, match="memory for one image, but got: CUDA out of memory"):
        Fitting().run(range(4), work)


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes"):
        Fitting().run([1, 2], lambda _: (_ for _ in ()).throw(RuntimeError("shapes")))


def test_parts_come_in_order_and_a_batch_that_did_not_fit_is_not_tried_again():
    seen: list[int] = []

    def work(some):
        seen.append(len(some))
        if len(some) > 5:
            raise MemoryError
        return list(some)

    fitting = Fitting()
    for _ in range(2):
        parts = fitting.run(range(16), work)
        assert [item for part in parts for item in part] == list(range(16))
    assert seen == [16, 8, 4, 4, 4, 4, 4, 4, 4, 4]
